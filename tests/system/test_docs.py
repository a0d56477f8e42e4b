# SPDX-License-Identifier: ISC
# SPDX-FileCopyrightText: The Fettle authors
"""What is written is what there is: manuals, README, NEWS, the numbers of device.cddl."""
import glob
import os
import re
import shutil
import subprocess
import unittest

import harness

PROGRAMS = {"fettled": 8, "fettle": 1, "fettle-device": 1}


def read(path):
    with open(os.path.join(harness.SOURCE, path)) as f:
        return f.read()


def plain(mdoc):
    """mdoc's source as the words it shows, near enough to look for names in it."""
    text = re.sub(r'(?m)^\.\\".*$', "", mdoc)
    text = text.replace("\\-", "-").replace("\\e", "\\").replace("\\(aq", "'").replace("\\&", "").replace("\\*(Ba", "|")
    text = re.sub(r"\bFl -(?=\w)", "--", text)
    text = re.sub(r"\bFl (?=\w)", "-", text)
    return text


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def long_options(text):
    return set(re.findall(r"(?m)^ +(?:-\w, )?--([a-z][a-z-]*)", text))


class Manuals(unittest.TestCase):
    def pages(self):
        return sorted(p for p in glob.glob(os.path.join(harness.SOURCE, "docs", "*.[1-8]")))

    def test_every_program_has_one(self):
        for name, section in PROGRAMS.items():
            self.assertTrue(os.path.exists(os.path.join(harness.SOURCE, "docs", "%s.%d" % (name, section))), name)
        self.assertTrue(os.path.exists(os.path.join(harness.SOURCE, "docs/fettled.conf.5")))
        for page in self.pages():
            name, section = os.path.basename(page).rsplit(".", 1)
            self.assertRegex(read(page), r"(?m)^\.Dt %s %s$" % (re.escape(name.upper()), section))
            for other, number in re.findall(r"(?m)^\.Xr (fettle\S*) (\d)", read(page)):
                self.assertTrue(os.path.exists(os.path.join(harness.SOURCE, "docs", "%s.%s" % (other, number))),
                                "%s refers to %s(%s)" % (name, other, number))

    def test_they_are_well_formed(self):
        tools = [(["man", "--warnings", "-E", "UTF-8", "-l"], "man"), (["mandoc", "-T", "lint", "-W", "warning"], "mandoc")]
        tools = [words for words, program in tools if shutil.which(program)]
        if not tools:
            self.skipTest("neither man nor mandoc is here")
        for page in self.pages():
            for words in tools:
                with self.subTest(page=page, tool=words[0]):
                    done = run(*words, page)
                    said = done.stderr + (done.stdout if words[0] == "mandoc" else "")
                    # whether other pages are installed here is no matter of the page
                    said = [line for line in said.splitlines() if "mandoc.db" not in line]
                    self.assertEqual(said, [])
                    self.assertEqual(done.returncode, 0)

    def test_options_of_the_programs(self):
        for name, section in PROGRAMS.items():
            done = run(os.path.join(harness.BUILD, name), "--help")
            page = plain(read("docs/%s.%d" % (name, section)))
            options = long_options(done.stdout + done.stderr) - {"help"}
            self.assertTrue(options, name)
            for option in options:
                with self.subTest(program=name, option=option):
                    self.assertTrue(re.search(r"--%s\b" % option, page), "--%s is not in the page" % option)

    def test_every_sentence_of_fettle(self):
        text = read("docs/fettle.1")
        chapters = dict(re.findall(r"(?ms)^\.Ss ([^\n]*)\n(.*?)(?=^\.S[sh] |\Z)", text))
        chapters.pop("Filters")
        overview = run(harness.FETTLE, "--help").stdout.split("\n\n")[2]
        patterns = {}
        for line in overview.splitlines():
            pattern = re.sub(r"^  (.*?)  +.*$", r"\1", line)
            patterns[re.sub(r"[<>]", "", pattern)] = pattern
        self.assertEqual(set(chapters), set(patterns))
        for title, pattern in patterns.items():
            with self.subTest(command=pattern):
                chapter = plain(chapters[title])
                said = run(harness.FETTLE, *re.sub(r" *[<\[].*", "", pattern).split(), "--help").stdout
                self.assertEqual(set(re.findall(r"\.It --([a-z-]+)", chapter)), long_options(said))
                example = re.search(r"\nexample: (.*)\n", said).group(1)
                self.assertIn(".Dl %s\n" % example, chapter)
                # somebody wrote at least a sentence
                self.assertRegex(chapter, r"(?m)^[A-Z][^\n]{8,}")
                for option in re.findall(r"(?m)^  --([a-z-]+) .*\(needed\)", said):
                    item = re.search(r"(?s)\.It --%s\b(.*?)(?=\.It|\.El)" % option, chapter).group(1)
                    self.assertIn("Needed", item)

    def test_every_key_of_the_configuration(self):
        done = run(os.path.join(harness.BUILD, "fettled"), "-T", "-c", os.path.join(harness.SOURCE, "etc/fettled.conf"))
        self.assertEqual(done.returncode, 0, done.stderr)
        page, shipped = read("docs/fettled.conf.5"), read("etc/fettled.conf")
        section, keys = None, 0
        for line in done.stdout.splitlines():
            head, key = re.match(r"\[(\w+)", line), re.match(r"(\w+) =", line)
            if head:
                section = head.group(1)
            elif key:
                keys += 1
                with self.subTest(section=section, key=key.group(1)):
                    part = re.search(r"(?ms)^\.S[sh] [^\n]*\b%s\b(.*?)(?=^\.S[sh] |\Z)" % section, page)
                    self.assertTrue(part, "no part about [%s]" % section)
                    self.assertRegex(part.group(1), r"(?m)^\.It Cm %s\b" % key.group(1))
                    part = re.search(r"(?ms)^#?\[%s\](.*?)(?=^#?\[|\Z)" % section, shipped)
                    self.assertRegex(part.group(1), r"(?m)^#?\s*%s\s*=" % key.group(1))
        self.assertGreater(keys, 25)


class Papers(unittest.TestCase):
    def version(self):
        return re.search(r"AC_INIT\(\[fettle\], \[([^\]]+)\]\)", read("configure.ac")).group(1)

    def test_version(self):
        self.assertRegex(read("NEWS"), r"(?m)^%s\b" % re.escape(self.version()))
        newest = re.search(r"(?m)^(\d+\.\d+\.\d+)", read("NEWS")).group(1)
        self.assertEqual(newest, self.version())
        for name in ("fettle", "fettled"):
            self.assertIn(" %s" % self.version(), run(os.path.join(harness.BUILD, name), "--version").stdout)

    def commands(self, text):
        """Lines of README's blocks, continued ones joined."""
        joined = re.sub(r" *\\\n +", " ", text)
        for line in filter(str.isascii, re.findall(r"(?m)^    (\S.*)$", joined)):
            for part in re.split(r" && ", line):
                yield part.split("  #")[0].strip()

    def test_commands_of_the_readme(self):
        seen = 0
        for paper in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
            for command in self.commands(read(paper)):
                word = command.split()[0]
                with self.subTest(paper=paper, command=command):
                    if word.startswith("scripts/"):
                        self.assertTrue(os.access(os.path.join(harness.SOURCE, word), os.X_OK))
                    elif word == "fettle":
                        words = re.findall(r"'[^']*'|\S+", command.split(" > ")[0])[1:]
                        done = run(harness.FETTLE, *[w.strip("'") for w in words], "--help")
                        self.assertEqual(done.returncode, 0, done.stderr)
                        seen += 1
        self.assertGreater(seen, 8)

    def test_files_the_papers_name(self):
        for paper in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
            for name in re.findall(r"`([\w./-]+)`", read(paper)):
                if "X" not in name and re.match(r"(docs|schema|scripts|src|tests|etc|daemon|cli|device|bench)/|[A-Z]+\.md$", name):
                    with self.subTest(paper=paper, file=name):
                        self.assertTrue(os.path.exists(os.path.join(harness.SOURCE, name)))
            for name in re.findall(r"`man ([\w.-]+)`", read(paper)):
                self.assertTrue(glob.glob(os.path.join(harness.SOURCE, "docs", name + ".[1-8]")), name)

    def test_numbers_of_the_device_messages(self):
        program = dict((name, int(n)) for n, name in re.findall(r"\[(\d+)\] = \"(\w+)\"",
                                                                read("src/codec/docfmt_keys.c")))
        paper = dict((name, int(n)) for name, n in re.findall(r"(?m)\b(\w+) ?= ?(\d+)\b", read("schema/device.cddl")))
        self.assertGreater(len(program), 20)
        self.assertEqual(program, {name: paper.get(name) for name in program})
        self.assertEqual(set(paper) - set(program), set())

    def test_defaults_of_the_shipped_configuration(self):
        """With every default written out, the configuration is the same."""
        shipped = read("etc/fettled.conf")
        root = harness.tempfile.mkdtemp(prefix="fettle-test-")
        self.addCleanup(shutil.rmtree, root)
        spoken = os.path.join(root, "all.conf")
        with open(spoken, "w") as f:
            f.write(re.sub(r"(?m)^#(?=\w+ = \S)", "", shipped))
        fettled = os.path.join(harness.BUILD, "fettled")
        done = [run(fettled, "-T", "-c", path) for path in (os.path.join(harness.SOURCE, "etc/fettled.conf"), spoken)]
        for one in done:
            self.assertEqual(one.returncode, 0, one.stderr)
        # where things live depends on how it was built
        values = [re.sub(r"(?m)^(data_dir|socket) = .*$", "", one.stdout) for one in done]
        self.assertEqual(*values)


if __name__ == "__main__":
    harness.main()
