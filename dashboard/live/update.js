// What the run of an update tells: how the old model did, and how it does on old and on new images.

const OF_UPDATE = { old: "val/old_accuracy", new: "val/new_accuracy", all: "val/accuracy" };

class UpdateTold {
  constructor() {
    this.isUpdate = false;
    this.before = null;
    this.now = null;
    this.level = null;
  }

  // Returns the points of the model before the update. A run that goes on again tells it again.
  begin(values) {
    if (this.isUpdate) return [];
    this.isUpdate = true;
    const before = [
      ["update", "old", 0, values.old_accuracy_before],
      ["update", "new", 0, values.new_accuracy_before],
    ].filter(([, , , y]) => Number.isFinite(y));
    if (Number.isFinite(values.old_accuracy_before)) this.before = this.level = values.old_accuracy_before;
    return before;
  }

  // Returns the accuracy on old images before the update, once; null where there is none to draw.
  takeLevel() {
    const level = this.level;
    this.level = null;
    return level;
  }

  // Returns the points that an epoch adds, none of a run that is no update.
  takeEpoch({ epoch, values }) {
    const told = Object.entries(OF_UPDATE).filter(([, key]) => Number.isFinite(values[key]));
    if (told.length < 2) return [];
    this.now = values;
    return told.map(([name, key]) => ["update", name, epoch, values[key]]);
  }

  // Returns what the card says of it.
  sentences() {
    if (this.now === null) return [];
    const before = this.before === null ? "" : ` (${percent(this.before)} before)`;
    const old = this.now[OF_UPDATE.old];
    const young = this.now[OF_UPDATE.new];
    return [
      ...(Number.isFinite(old) ? [`old images ${percent(old)}${before}`] : []),
      ...(Number.isFinite(young) ? [`new ${percent(young)}`] : []),
    ];
  }
}
