"""Importers that write manifests for users' own copies of public datasets.

May import the sibling folder tasks.
"""

# The only list of datasets: the name that users type, and the module and attribute of its Source. `hearlite import`
# loads a module only when its dataset is requested.
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
