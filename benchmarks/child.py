"""The process that is measured: one arrowsync.copy. Prints its report and the modules it had imported."""

import json
import sys


def main() -> None:
    import arrowsync

    arguments = json.loads(sys.argv[1])
    if "limits" in arguments:
        arguments["limits"] = arrowsync.Limits(**arguments["limits"])
    report = arrowsync.copy(**arguments)
    print(json.dumps({"report": report.to_dict(), "modules": sorted(sys.modules)}))


if __name__ == "__main__":
    main()
