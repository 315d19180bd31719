"""Validates OCSF objects, one a line, each by the published schema of the class that it names.

    valid.py FOLDER_OF_SCHEMAS FILE

Prints what is wrong with each, and last how many are valid.
"""

import json
import sys
from pathlib import Path

import jsonschema_rs


def main(folder, file):
    validators = {
        int(path.name.partition(".")[0]): jsonschema_rs.validator_for(json.loads(path.read_text()))
        for path in Path(folder).glob("*.schema.json")
    }
    valid = 0
    for line in Path(file).read_text().splitlines():
        value = json.loads(line)
        faults = list(validators[value["class_uid"]].iter_errors(value))
        for fault in faults:
            print(f"{value['metadata']['event_code']}: {fault.message} at {fault.instance_path}")
        valid += not faults
    print(f"{valid} valid")


main(*sys.argv[1:])
