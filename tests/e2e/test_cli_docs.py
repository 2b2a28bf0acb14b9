"""docs/cli.md: what is typed there prints what stands there, but for ids, times and sizes.

    LEAT_WRITE_DOCS=1 ... -m pytest tests/e2e/test_cli_docs.py     puts today's output into the page
"""

import os
import re
import subprocess

from support.servers import TOP, leat_binary

PAGE = os.path.join(TOP, "docs", "cli.md")


def typed(command, folder, url):
    """What a terminal shows, without its colours."""
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(os.path.join(folder, "leat")):
        os.symlink(leat_binary(), os.path.join(folder, "leat"))
    env = dict(os.environ, LEAT_URL=url, PATH=str(folder) + ":/usr/bin:/bin", TZ="UTC")
    done = subprocess.run(["script", "-qec", command, "/dev/null"], env=env, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout.replace("\r\n", "\n"))
    return done.returncode, "\n".join(line.rstrip() for line in text.splitlines())


def shape(text):
    """Ids, times, spans and sizes vary; and so do the widths of columns. Counts do not."""
    for pattern, name in [(r"\b\d{13}-\d+", "ID"), (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"), (r"\b\d\d:\d\d:\d\d", "TIME"),
                          (r"\b[\d.]+(ms|m\d\ds|s|KB)\b", "SPAN"), (r'(_ms|_bytes)":\d+', r"\1"), (r" +", " ")]:
        text = re.sub(pattern, name, text)
    return text


def test_what_is_typed(redis_server, tmp_path):
    with open(PAGE) as f:
        page = f.read()
    folder, url, seen = tmp_path / "bin", "redis://127.0.0.1:%d" % redis_server.port, 0

    def again(match):
        nonlocal seen
        shown = []
        for command in re.findall(r"^\$ (.*)$", match.group(1), re.M):
            status, output = typed(command, folder, url)
            assert status == 0, (command, output)
            shown.append(("$ %s\n%s" % (command, output)).rstrip())
            seen += 1
        return "```console\n%s\n```" % "\n".join(shown)
    fresh = re.sub(r"```console\n(.*?)\n```", again, page, flags=re.S)
    assert seen > 20
    if os.environ.get("LEAT_WRITE_DOCS"):
        with open(PAGE, "w") as f:
            f.write(fresh)
    else:
        assert shape(page) == shape(fresh)
