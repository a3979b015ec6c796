#!/usr/bin/env python3
"""Plants deliberate faults, one at a time, and says which test catches each (docs/MEASURING.md has the results).

usage: scripts/planted-faults.py [--check | --list | --table] [--only TEXT]... [--alone] [--fresh] [--widen]
                                 [--state FILE] [--target-dir DIR] [--timeout SECONDS] [--run COMMAND]

The faults are in scripts/planted-faults.toml. What is committed (HEAD) is measured, in a git worktree under a temporary
directory, which is removed at the end, also on Ctrl-C and SIGTERM: no fault ever gets into the sources of this tree.

A build takes a minute, a test a moment. So all faults are built at once, each behind a switch: where the sources have
`OLD`, the worktree has `if planted(7) { NEW } else { OLD }`, and the test is run with SOCKBENCH_PLANTED=7: one fault is
active at a time, in the test and in the programs that it starts. A fault in a constant or a pattern cannot have a
switch (`alone = true` in the table): it is planted by itself, built and tested by itself, and the file is put back.

First each named test runs without a fault: if it fails then, it decides nothing, and the faults that name it are left
out. Then each fault runs its named test. The results are:

  caught         the named test failed, or ran for longer than --timeout
  elsewhere      with --widen: the named test passed, another test of the built test binaries failed
  NOT CAUGHT     no test failed
  no build       the faulty sources do not compile: the table is wrong
  no verdict     the named test fails without the fault too, or there is no such test

They go to the state file after each fault. A second call goes on where the first stopped: it repeats a fault only if
its row in the table has changed, or if it was not caught. --fresh forgets the state.

  --check          only: does every row still fit the sources of this tree (each text found exactly once)? Builds nothing
  --list           only: the rows and their results so far
  --table          only: the same as the table in docs/MEASURING.md
  --only TEXT      only faults whose id, file or test contains TEXT; more than once: those of any
  --alone          plant every fault by itself, without switches: a build for each
  --widen          where the named test passes, try all tests of the binaries lib, pure and wire
  --state FILE     default: target/planted-faults.json
  --target-dir DIR what cargo builds in; default: target/planted. Kept, so that dependencies are built once
  --timeout S      for one test run, default 300
  --run COMMAND    put before every cargo command, as `nice`

Exit: 0 all are caught (or all rows fit), 1 one is not, 2 usage, or a row that does not fit. Needs: git, cargo, Python
3.11.

A row of the table:

  [[fault]]
  id = "recorder-counts-twice"                  # unique
  about = "a failed request counts twice"       # what a programmer would have done wrong
  file = "src/stats/recorder.rs"
  find = "now.counts.failures += 1;"            # found exactly once in the file; may span lines
  old = "1"                                     # found exactly once in `find`; default: all of `find`
  new = "2"                                     # an expression for an expression, statements for statements
  test = "lib stats::"                          # lib or a binary of tests/, then filters as for cargo test
  alone = true                                  # only where a switch cannot stand: constants, patterns, const fn
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "scripts", "planted-faults.toml")
KEYS = {"id", "about", "file", "find", "old", "new", "test", "alone"}
WIDE = ("lib", "pure", "wire")
CAUGHT = ("caught", "elsewhere")
SWITCH = """
/// Whether fault `number` of scripts/planted-faults.toml is active.
pub(crate) fn planted(number: u32) -> bool {
    static ACTIVE: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("SOCKBENCH_PLANTED").map_or(0, |n| n.parse().expect("a number")));
    *ACTIVE == number
}
"""


class Wrong(Exception):
    """The table does not fit, or something cannot be done: one line for the user."""


def rows_of(table):
    """The rows of the table, with numbers from 1."""
    with open(table, "rb") as f:
        rows = tomllib.load(f)["fault"]
    seen = set()
    for number, row in enumerate(rows, 1):
        name = row.get("id", f"row {number}")
        if KEYS - {"old", "alone"} - row.keys() or row.keys() - KEYS:
            raise Wrong(f"{name}: needs id, about, file, find, new and test; may have old and alone")
        if name in seen:
            raise Wrong(f"{name}: twice in the table")
        seen.add(name)
        row.setdefault("old", row["find"])
        row.setdefault("alone", False)
        row["print"] = hashlib.sha256(repr(sorted(row.items())).encode()).hexdigest()[:16]
        row["number"] = number
        row["target"], *row["filters"] = row["test"].split()
    return rows


def place(row, text):
    """Where the old text begins and ends in the file's text."""
    for part, whole, where in ((row["find"], text, row["file"]), (row["old"], row["find"], "its `find`")):
        if whole.count(part) != 1:
            raise Wrong(f"{row['id']}: {whole.count(part)} times in {where}, not once: {part!r}")
    at = text.index(row["find"]) + row["find"].index(row["old"])
    return at, at + len(row["old"])


def read(root, file):
    with open(os.path.join(root, file), encoding="utf-8") as f:
        return f.read()


def write(root, file, text):
    with open(os.path.join(root, file), "w", encoding="utf-8") as f:
        f.write(text)


def by_file(rows):
    files = {}
    for row in rows:
        files.setdefault(row["file"], []).append(row)
    return files


def check(rows, root):
    """Whether every row fits the sources under `root`, and no two switches overlap."""
    for file, of_file in by_file(rows).items():
        try:
            text = read(root, file)
        except OSError as e:
            raise Wrong(f"{of_file[0]['id']}: {file}: {e.strerror}") from e
        spans = sorted((*place(row, text), row["id"]) for row in of_file if not row["alone"])
        [place(row, text) for row in of_file]
        for (_, end, one), (begin, _, other) in zip(spans, spans[1:]):
            if begin < end:
                raise Wrong(f"{one} and {other} overlap in {file}: one of them needs alone = true")


def switched(row):
    """The old text with the new one beside it, and the switch that chooses."""
    old, new, on = row["old"], row["new"], f"crate::planted({row['number']})"
    is_statement = old.rstrip().endswith((";", "}")) and not old.lstrip().startswith(("Some", "Self"))
    if is_statement:
        return f"if {on} {{ {new} }} else {{ {old} }}"
    return f"(if {on} {{ {new} }} else {{ {old} }})"


class Tree:
    """A worktree of HEAD in a temporary directory, with cargo's view of it."""

    def __init__(self, options):
        self.options = options
        self.above = tempfile.mkdtemp(prefix="sockbench-planted-")
        self.root = os.path.join(self.above, "tree")
        self.built = {}
        self.commit = git("rev-parse", "HEAD")

    def __enter__(self):
        try:
            git("worktree", "add", "--detach", "--quiet", self.root, self.commit)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A second Ctrl-C does not stop the cleaning up.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", self.root], stderr=subprocess.DEVNULL)
        shutil.rmtree(self.above, ignore_errors=True)
        subprocess.run(["git", "-C", ROOT, "worktree", "prune"])

    def committed(self, file):
        """The text of a file in the commit that is measured; HEAD may move meanwhile."""
        return git("show", f"{self.commit}:{file}") + "\n"

    def build(self, targets):
        """Builds test binaries. Returns the errors as (file, line, text), none if it compiles."""
        command = shlex.split(self.options.run) + ["cargo", "test", "--no-run", "--message-format=json", "--quiet"]
        command += ["--target-dir", self.options.target_dir]
        for target in sorted(targets):
            command += ["--lib"] if target == "lib" else ["--test", target]
        done = subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.built, errors = {}, []
        for line in done.stdout.splitlines():
            message = json.loads(line)
            if message["reason"] == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
                kind = message["target"]["kind"][0]
                # A copy: another cargo may build in the same directory.
                name = "lib" if kind == "lib" else message["target"]["name"]
                self.built[name] = shutil.copy(message["executable"], os.path.join(self.above, name))
            elif message["reason"] == "compiler-message" and message["message"]["level"] == "error":
                for span in message["message"]["spans"] or [{"file_name": "", "line_start": 0}]:
                    errors.append((span["file_name"], span["line_start"], message["message"]["message"]))
        if done.returncode != 0 and not errors:
            raise Wrong(f"cargo test --no-run: {done.stderr.strip()[-2000:]}")
        return errors

    def test(self, target, filters, number=0):
        """Runs tests with fault `number`. Returns the names of those that failed, how many ran, and whether it hung."""
        environment = os.environ | {"CARGO_MANIFEST_DIR": self.root, "INSTA_UPDATE": "no", "RUST_BACKTRACE": "0"}
        environment |= {"SOCKBENCH_PLANTED": str(number)} if number else {}
        command = [self.built[target], *filters]
        child = subprocess.Popen(
            command, cwd=self.root, env=environment, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        try:
            output, _ = child.communicate(timeout=self.options.timeout)
        except subprocess.TimeoutExpired:
            return ["(ran too long)"], 1, True
        finally:
            # The test and the programs that it started: a group of their own.
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
        # The list at the end; what a test prints itself stands before it.
        failed = re.findall(r"^    ([\w:]+)$", output.rpartition("\nfailures:\n")[2], re.M) if child.returncode else []
        if child.returncode and not failed:
            failed = [f"(ended with {child.returncode})"]
        ran = re.search(r"^running (\d+) tests?$", output, re.M)
        return sorted(set(failed)), int(ran.group(1)) if ran else 0, False


def git(*arguments):
    done = subprocess.run(["git", "-C", ROOT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Wrong(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


class State:
    """The results so far, on disk after each."""

    def __init__(self, file, fresh):
        self.file = file
        self.results = {}
        if not fresh and os.path.exists(file):
            with open(file, encoding="utf-8") as f:
                self.results = json.load(f)

    def of(self, row):
        known = self.results.get(row["id"])
        return known if known and known["print"] == row["print"] else None

    def note(self, row, result, by, commit):
        self.results[row["id"]] = {"print": row["print"], "result": result, "by": by, "commit": commit}
        os.makedirs(os.path.dirname(os.path.abspath(self.file)), exist_ok=True)
        with open(self.file + ".part", "w", encoding="utf-8") as f:
            json.dump(self.results, f, indent=1)
        os.replace(self.file + ".part", self.file)
        print(f"{result:<11} {row['id']:<40} {', '.join(by[:2])}{' ...' if len(by) > 2 else ''}", flush=True)


def targets_of(rows, widen):
    return {row["target"] for row in rows} | (set(WIDE) if widen else set())


def sound(tree, rows):
    """The named tests that pass without a fault."""
    good = set()
    for test in sorted({row["test"] for row in rows}):
        target, *filters = test.split()
        failed, ran, _ = tree.test(target, filters)
        if failed or not ran:
            print(f"{test}: {'fails without a fault: ' + ', '.join(failed[:3]) if failed else 'no such test'}", flush=True)
        else:
            good.add(test)
    return good


def judge(tree, row, number, widen):
    """What becomes of a fault that is planted and built: the result, and the tests that caught it."""
    failed, _, hung = tree.test(row["target"], row["filters"], number)
    if failed:
        return "caught", failed
    for target in WIDE if widen else ():
        failed, _, hung = tree.test(target, [], number)
        # What hangs among thousands of tests may be the machine.
        if failed and not hung:
            return "elsewhere", [f"{target} {name}" for name in failed]
    return "NOT CAUGHT", []


def plant_switches(tree, rows):
    """All rows behind switches, from the end of each file to its beginning."""
    for file, of_file in by_file(rows).items():
        text = tree.committed(file)
        for (begin, end), row in sorted(((place(row, text), row) for row in of_file), key=lambda at: at[0], reverse=True):
            text = text[:begin] + switched(row) + text[end:]
        write(tree.root, file, text)


def guilty(tree, rows, errors):
    """The rows whose switch is where the compiler found errors."""
    out = {}
    for row in rows:
        text = read(tree.root, row["file"])
        at = text.index(f"crate::planted({row['number']})")
        first = text.count("\n", 0, at) + 1
        last = first + switched(row).count("\n")
        for file, line, why in errors:
            if file == row["file"] and first <= line <= last:
                out.setdefault(row["id"], why)
    return out


def run_switched(tree, rows, state, options, commit):
    lib = read(tree.root, "src/lib.rs")
    write(tree.root, "src/lib.rs", lib + SWITCH)
    while rows:
        plant_switches(tree, rows)
        errors = tree.build(targets_of(rows, options.widen))
        if not errors:
            break
        bad = guilty(tree, rows, errors)
        if not bad:
            raise Wrong("the switches do not compile: " + "; ".join(f"{f}:{n}: {why}" for f, n, why in errors[:5]))
        for row in [r for r in rows if r["id"] in bad]:
            state.note(row, "no build", [bad[row["id"]]], commit)
            write(tree.root, row["file"], tree.committed(row["file"]))
        rows = [r for r in rows if r["id"] not in bad]
    good = sound(tree, rows)
    for row in rows:
        if row["test"] in good:
            state.note(row, *judge(tree, row, row["number"], options.widen), commit)
        else:
            state.note(row, "no verdict", [row["test"]], commit)
    for file in [*by_file(rows), "src/lib.rs"]:
        write(tree.root, file, tree.committed(file))


def run_alone(tree, rows, state, options, commit):
    if tree.build(targets_of(rows, options.widen)):
        raise Wrong("HEAD does not compile")
    good = sound(tree, rows)
    # Those of one binary after each other: less is built again.
    for row in sorted(rows, key=lambda r: (r["target"], r["file"])):
        if row["test"] not in good:
            state.note(row, "no verdict", [row["test"]], commit)
            continue
        text = read(tree.root, row["file"])
        begin, end = place(row, text)
        try:
            write(tree.root, row["file"], text[:begin] + row["new"] + text[end:])
            errors = tree.build({row["target"]} | (set(WIDE) if options.widen else set()))
            result = ("no build", [errors[0][2]]) if errors else judge(tree, row, 0, options.widen)
            state.note(row, *result, commit)
        finally:
            write(tree.root, row["file"], text)


def summary(rows, state):
    """The counts; whether all are caught."""
    counts = {}
    for row in rows:
        known = state.of(row)
        counts.setdefault(known["result"] if known else "not run", []).append(row["id"])
    print(f"{len(rows)} faults: " + ", ".join(f"{len(ids)} {result}" for result, ids in sorted(counts.items())))
    for result, ids in sorted(counts.items()):
        if result not in CAUGHT:
            print(f"  {result}: {', '.join(ids)}")
    return all(result in CAUGHT for result in counts)


def options_of(arguments):
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    for flag in ("-h", "--help"), ("--check",), ("--list",), ("--table",), ("--alone",), ("--fresh",), ("--widen",):
        parser.add_argument(*flag, action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--state", default=os.path.join(ROOT, "target", "planted-faults.json"))
    parser.add_argument("--target-dir", default=os.path.join(ROOT, "target", "planted"))
    parser.add_argument("--timeout", type=float, default=300.0)
    parser.add_argument("--run", default="")
    options = parser.parse_args(arguments)
    options.target_dir = os.path.abspath(options.target_dir)
    return options


def main(arguments):
    options = options_of(arguments)
    if options.help:
        print(__doc__.strip())
        return 0
    every = rows_of(TABLE)
    rows = [r for r in every if any(text in r[key] for text in options.only or [""] for key in ("id", "file", "test"))]
    if options.check:
        check(every, ROOT)
        print(f"planted faults: {len(every)} rows fit the sources")
        return 0
    state = State(options.state, options.fresh)
    if options.list:
        for row in rows:
            known = state.of(row) or {"result": "not run", "by": []}
            print(f"{known['result']:<11} {row['id']:<40} {row['file']:<36} {row['about']}: {', '.join(known['by'][:3])}")
        return 0 if summary(rows, state) else 1
    if options.table:
        print("| fault | caught by |\n|---|---|")
        for row in rows:
            known = state.of(row) or {"result": "not run", "by": []}
            more = f" and {len(known['by']) - 1} more" if known["by"][1:] else ""
            by = f"`{known['by'][0]}`{more}" if known["result"] in CAUGHT else known["result"]
            print(f"| `{row['id']}` | {by} |")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    todo = [r for r in rows if (state.of(r) or {"result": ""})["result"] not in CAUGHT]
    if todo:
        commit = git("rev-parse", "--short", "HEAD")
        with Tree(options) as tree:
            check(every, tree.root)
            behind = [] if options.alone else [r for r in todo if not r["alone"]]
            if behind:
                run_switched(tree, behind, state, options, commit)
            alone = [r for r in todo if r not in behind]
            if alone:
                run_alone(tree, alone, state, options, commit)
    return 0 if summary(rows, state) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Wrong as e:
        print(f"planted-faults.py: {e}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
