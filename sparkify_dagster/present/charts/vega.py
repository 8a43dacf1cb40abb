"""The process that draws: a Vega-Lite specification comes in on a line, its SVG goes out on one.

`painter` runs this file by its path, so that nothing of the package is imported here. It ends with
the process that it draws for: when nobody is left to send a line.
"""

import json
import os
import sys

_NOTHING = b'{"data": {"values": []}, "mark": "bar"}'


def answer(line: bytes) -> dict[str, str]:
    """The SVG, or why there is none."""
    try:
        import vl_convert

        return {"svg": vl_convert.vegalite_to_svg(json.loads(line))}
    except Exception as error:  # noqa: BLE001  # whatever it is, who asked gets it
        return {"error": str(error) or type(error).__name__}


def main() -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # what a library prints is no answer
    answer(_NOTHING)  # starts V8, before anybody waits for it
    for line in sys.stdin.buffer:
        shown = memoryview(json.dumps(answer(line)).encode() + b"\n")
        while shown:
            shown = shown[os.write(answers, shown) :]


if __name__ == "__main__":
    main()
