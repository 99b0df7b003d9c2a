"""Names of what a run tells of its stages. No torch here.

An epoch event has the first three only for stages that something has moved (for CKA, also for those
behind one): one that is not named is as it was, so its drift is 0 and its CKA is 1. It has the
fourth wherever this was measured, which older runs did not do.
"""

# ‖w - w0‖ / ‖w0‖ of a stage's weights, and of its BatchNorm's running statistics.
DRIFT, STATISTICS = "drift/", "drift_statistics/"
# Linear CKA of what it makes of validation images with what the pre-trained network makes of them,
# and of how many of them that is; None where it cannot be told.
CKA, CKA_IMAGES = "cka/", "cka_images"
# Of step events: norm of a stage's gradient over that step's batch, or of the head's.
GRAD_NORM = "grad_norm/"
