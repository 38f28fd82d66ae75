"""Datasets: manifests for users' own copies of public datasets. May import tasks.

DATASETS is the one list of them: the name that users type, and where its Source is. `hearlite import` imports a module
when it is asked for.
"""

DATASETS = {
    "sprsound": "sprsound.EVENTS",
    "sprsound-records": "sprsound.RECORDS",
    "sprsound-asthma": "sprsound.ASTHMA",
    "icbhi": "icbhi.CYCLES",
    "esc50": "esc50.CLIPS",
    "coswara": "coswara.RECORDINGS",
    "coughvid": "coughvid.RECORDINGS",
    "fsd50k": "fsd50k.CLIPS",
}
