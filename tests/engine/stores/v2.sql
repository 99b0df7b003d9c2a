BEGIN TRANSACTION;
CREATE TABLE acts (
	run_id VARCHAR(16) NOT NULL, 
	number INTEGER NOT NULL, 
	time FLOAT NOT NULL, 
	act TEXT NOT NULL, 
	PRIMARY KEY (run_id, number), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "acts" VALUES('6a5c43f3',1,1.79566918005732154839e+09,'{"step":0,"kind":"freeze","target":"stem","factor":1.0}');
CREATE TABLE events (
	run_id VARCHAR(16) NOT NULL, 
	seq INTEGER NOT NULL, 
	time FLOAT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	epoch INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	"values" TEXT NOT NULL, 
	PRIMARY KEY (run_id, seq), 
	FOREIGN KEY(run_id) REFERENCES runs (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES('5dfbfeac',1,1.79566917993158841129e+09,'status',0,0,'{"status": "queued"}');
INSERT INTO "events" VALUES('6a5c43f3',1,1.79566917993288159365e+09,'status',0,0,'{"status": "queued"}');
INSERT INTO "events" VALUES('5dfbfeac',2,1.79566917995010185242e+09,'status',0,0,'{"status": "running"}');
INSERT INTO "events" VALUES('5dfbfeac',3,1700000001.0,'step',1,1,'{"train/loss": 1.0, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',4,1700000002.0,'step',1,2,'{"train/loss": 0.5, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',5,1700000003.0,'step',1,3,'{"train/loss": 0.3333333333333333, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',6,1700000004.0,'step',2,4,'{"train/loss": 0.25, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',7,1700000005.0,'step',2,5,'{"train/loss": 0.2, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',8,1700000006.0,'step',2,6,'{"train/loss": 0.16666666666666666, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('5dfbfeac',9,1700000011.0,'epoch',1,3,'{"train/loss": 0.5, "train/accuracy": 0.8, "train/f1": 0.8, "val/loss": 0.4, "val/accuracy": 0.7999999999999999, "val/f1": 0.7, "lr/head": 0.001, "seconds": 1.0, "elapsed_seconds": 1.0, "images_per_second": 50.0, "val_images_per_second": 90.0, "peak_memory_mib": 300.0}');
INSERT INTO "events" VALUES('5dfbfeac',10,1700000012.0,'epoch',2,6,'{"train/loss": 0.25, "train/accuracy": 0.8, "train/f1": 0.8, "val/loss": 0.2, "val/accuracy": 0.8999999999999999, "val/f1": 0.7, "lr/head": 0.001, "seconds": 1.0, "elapsed_seconds": 2.0, "images_per_second": 50.0, "val_images_per_second": 90.0, "peak_memory_mib": 300.0}');
INSERT INTO "events" VALUES('6a5c43f3',2,1.79566918001293396953e+09,'status',0,0,'{"status": "running"}');
INSERT INTO "events" VALUES('6a5c43f3',3,1700000001.0,'step',1,1,'{"train/loss": 1.0, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',4,1700000002.0,'step',1,2,'{"train/loss": 0.5, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',5,1700000003.0,'step',1,3,'{"train/loss": 0.3333333333333333, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',6,1700000004.0,'step',2,4,'{"train/loss": 0.25, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',7,1700000005.0,'step',2,5,'{"train/loss": 0.2, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',8,1700000006.0,'step',2,6,'{"train/loss": 0.16666666666666666, "train/accuracy": 0.5}');
INSERT INTO "events" VALUES('6a5c43f3',9,1700000011.0,'epoch',1,3,'{"train/loss": 0.5, "train/accuracy": 0.8, "train/f1": 0.8, "val/loss": 0.4, "val/accuracy": 0.7999999999999999, "val/f1": 0.7, "lr/head": 0.001, "seconds": 1.0, "elapsed_seconds": 1.0, "images_per_second": 50.0, "val_images_per_second": 90.0, "peak_memory_mib": 300.0}');
INSERT INTO "events" VALUES('6a5c43f3',10,1700000012.0,'epoch',2,6,'{"train/loss": 0.25, "train/accuracy": 0.8, "train/f1": 0.8, "val/loss": 0.2, "val/accuracy": 0.8999999999999999, "val/f1": 0.7, "lr/head": 0.001, "seconds": 1.0, "elapsed_seconds": 2.0, "images_per_second": 50.0, "val_images_per_second": 90.0, "peak_memory_mib": 300.0}');
INSERT INTO "events" VALUES('5dfbfeac',11,1.79566918006277227402e+09,'status',0,0,'{"status": "finished", "reason": ""}');
INSERT INTO "events" VALUES('6a5c43f3',11,1.79566918006613540645e+09,'status',0,0,'{"status": "failed", "reason": "The training loss became NaN in epoch 2."}');
INSERT INTO "events" VALUES('5386a7b3',1,1.79566918009624552727e+09,'status',0,0,'{"status": "queued"}');
CREATE TABLE runs (
	id VARCHAR(16) NOT NULL, 
	name TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	spec TEXT NOT NULL, 
	summary TEXT NOT NULL, 
	group_id VARCHAR(16) NOT NULL, 
	colour INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	ended_at FLOAT, 
	stop_requested BOOLEAN NOT NULL, 
	last_seq INTEGER NOT NULL, 
	slot INTEGER, 
	host TEXT, 
	pid INTEGER, 
	pid_started FLOAT, 
	beat_at FLOAT, 
	note TEXT DEFAULT '' NOT NULL, 
	tags TEXT DEFAULT '[]' NOT NULL, 
	starred BOOLEAN DEFAULT 0 NOT NULL, 
	archived BOOLEAN DEFAULT 0 NOT NULL, 
	deleted_at FLOAT, 
	place FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "runs" VALUES('5dfbfeac','Frozen · photos','finished','','{"data":{"folder":"/photos","val_folder":null,"val_fraction":0.2,"split_seed":0,"keep_alike_together":true,"folds":0,"fold":1,"remedies":""},"model":{"backbone":"efficientnet_lite0","weights":"pretrained","head":"linear","hidden_units":128,"dropout":0.0,"stochastic_depth":0.0},"images":{"size":224,"start_size":0,"fit":"crop","augmentation":"none","views":0,"normalisation":"backbone"},"strategy":{"last_stages":2,"block":"","unfreeze_every":1,"probe_share":0.5,"tune_scale":0.1,"lr_decay":0.7,"rank":8,"lora_alpha":16.0,"pull":0.01,"head_pull":0.01,"alpha":0.5,"name":"frozen"},"optimiser":{"name":"adamw","lr":0.001,"backbone_lr":0.0,"weight_decay":0.0001,"momentum":0.9,"schedule":"cosine","warmup":0.0,"decay_rate":0.96,"decay_steps":1000,"staircase":false,"drop_factor":0.1,"drop_every":3,"patience":2},"training":{"epochs":2,"batch_size":32,"label_smoothing":0.0,"batch_norm":"follow","clip_norm":0.0,"ema_decay":0.0,"mixup":0.0,"cutmix":0.0,"class_balance":"none","precision":"full","accumulation":1,"gradient_checkpointing":false,"compile":false,"feature_precision":"full","early_stopping":0},"steering":[],"seed":0,"device":"auto"}','{"best_val_accuracy": 0.9, "seconds": 2.5, "classes": 3}','91ad3f06',0,1.79566917993080210689e+09,1.79566917995010185242e+09,1.79566918006233501429e+09,0,11,0,'laptop',4242,1700000000.0,1.79566918000037789343e+09,'','[]',0,0,NULL,NULL);
INSERT INTO "runs" VALUES('6a5c43f3','Full · photos','failed','The training loss became NaN in epoch 2.','{"data":{"folder":"/photos","val_folder":null,"val_fraction":0.2,"split_seed":0,"keep_alike_together":true,"folds":0,"fold":1,"remedies":""},"model":{"backbone":"efficientnet_lite0","weights":"pretrained","head":"linear","hidden_units":128,"dropout":0.0,"stochastic_depth":0.0},"images":{"size":224,"start_size":0,"fit":"crop","augmentation":"none","views":0,"normalisation":"backbone"},"strategy":{"last_stages":2,"block":"","unfreeze_every":1,"probe_share":0.5,"tune_scale":0.1,"lr_decay":0.7,"rank":8,"lora_alpha":16.0,"pull":0.01,"head_pull":0.01,"alpha":0.5,"name":"full"},"optimiser":{"name":"adamw","lr":0.001,"backbone_lr":0.0,"weight_decay":0.0001,"momentum":0.9,"schedule":"cosine","warmup":0.0,"decay_rate":0.96,"decay_steps":1000,"staircase":false,"drop_factor":0.1,"drop_every":3,"patience":2},"training":{"epochs":2,"batch_size":32,"label_smoothing":0.0,"batch_norm":"follow","clip_norm":0.0,"ema_decay":0.0,"mixup":0.0,"cutmix":0.0,"class_balance":"none","precision":"full","accumulation":1,"gradient_checkpointing":false,"compile":false,"feature_precision":"full","early_stopping":0},"steering":[],"seed":0,"device":"auto"}','{}','91ad3f06',0,1.79566917993276214601e+09,1.79566918001293396953e+09,1.79566918006596779825e+09,0,11,1,'laptop',4243,1700000000.0,1.79566918005037546158e+09,'','[]',0,0,NULL,NULL);
INSERT INTO "runs" VALUES('5386a7b3','Waiting','queued','','{"data":{"folder":"/photos","val_folder":null,"val_fraction":0.2,"split_seed":0,"keep_alike_together":true,"folds":0,"fold":1,"remedies":""},"model":{"backbone":"efficientnet_lite0","weights":"pretrained","head":"linear","hidden_units":128,"dropout":0.0,"stochastic_depth":0.0},"images":{"size":224,"start_size":0,"fit":"crop","augmentation":"none","views":0,"normalisation":"backbone"},"strategy":{"last_stages":2,"block":"","unfreeze_every":1,"probe_share":0.5,"tune_scale":0.1,"lr_decay":0.7,"rank":8,"lora_alpha":16.0,"pull":0.01,"head_pull":0.01,"alpha":0.5,"name":"frozen"},"optimiser":{"name":"adamw","lr":0.001,"backbone_lr":0.0,"weight_decay":0.0001,"momentum":0.9,"schedule":"cosine","warmup":0.0,"decay_rate":0.96,"decay_steps":1000,"staircase":false,"drop_factor":0.1,"drop_every":3,"patience":2},"training":{"epochs":2,"batch_size":32,"label_smoothing":0.0,"batch_norm":"follow","clip_norm":0.0,"ema_decay":0.0,"mixup":0.0,"cutmix":0.0,"class_balance":"none","precision":"full","accumulation":1,"gradient_checkpointing":false,"compile":false,"feature_precision":"full","early_stopping":0},"steering":[],"seed":0,"device":"auto"}','{}','ebae26a9',1,1.7956691800959777832e+09,NULL,NULL,0,1,NULL,NULL,NULL,NULL,NULL,'','[]',0,0,NULL,NULL);
CREATE TABLE schema_versions (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_versions" VALUES(2);
CREATE TABLE thaw_schema (version_num VARCHAR(32) NOT NULL, CONSTRAINT thaw_schema_pkc PRIMARY KEY (version_num));
INSERT INTO "thaw_schema" VALUES('0002');
CREATE INDEX runs_by_status ON runs (status, created_at);
COMMIT;
