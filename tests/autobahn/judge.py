"""judge.py REPORTS CASES: counts the verdicts of an Autobahn run.

A case is as bad as the worse of its behaviour and its closing. All have to be OK but three, which know no
verdict but INFORMATIONAL since the standard leaves open what they try; and as many must have run.
"""

import collections
import json
import pathlib
import sys

# From good to bad; a verdict that is not known is the worst.
VERDICTS = [
    "OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", "FAILED",
]
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def badness(verdict):
    return VERDICTS.index(verdict) if verdict in VERDICTS else len(VERDICTS)


def case_number(case):
    return [int(part) for part in case.split(".")]


def main():
    reports, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    try:
        agents = json.loads((reports / "index.json").read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"FAIL  no report: {error}")
    failed = not agents
    for agent, cases in agents.items():
        by_verdict = collections.defaultdict(list)
        for case, result in cases.items():
            by_verdict[max(result["behavior"], result["behaviorClose"], key=badness)].append(case)
        counts = ", ".join(f"{len(by_verdict[v])} {v}" for v in sorted(by_verdict, key=badness))
        print(f"{agent}: {len(cases)} cases: {counts}")
        for verdict in sorted(by_verdict, key=badness):
            if verdict != "OK":
                print(f"  {verdict}: {' '.join(sorted(by_verdict[verdict], key=case_number))}")
        fine = set(by_verdict["OK"]) | INFORMATIONAL & set(by_verdict["INFORMATIONAL"])
        bad = len(cases) - len(fine)
        if bad or len(cases) != wanted:
            print(f"FAIL  {bad} cases are bad; {len(cases)} of {wanted} ran")
            failed = True
    sys.exit(failed)


main()
