"""What the doctor sees in a few milliseconds, for a page that is drawn often."""

from engine.doctor.examine import Check
from engine.doctor.finding import Finding
from engine.doctor.home import home
from engine.doctor.room import home_disk, memory, temporary_disk
from engine.doctor.settings import roots, variables
from engine.doctor.weights import weights_folder

QUICK: tuple[Check, ...] = (
    home,
    home_disk,
    temporary_disk,
    memory,
    variables,
    roots,
    weights_folder,
)


def faults_at_a_glance() -> list[Finding]:
    """Returns what does not work, of the little that is looked at; a check that fails is left out.

    `thaw doctor` looks at all the rest.
    """
    found: list[Finding] = []
    for check in QUICK:
        try:
            finding = check()
        except Exception:
            continue
        if finding.verdict == "fault":
            found.append(finding)
    return found
