"""What Tab offers, asked as the shells ask, and in a real bash."""

import pytest

import children
from convlet import datasets, recipes
from convlet.bench import NETWORKS
from convlet.cli import main
from convlet.cli.group import COMMANDS
from convlet.optimizers import BY_NAME
from convlet.schedules import SCHEDULES


@pytest.fixture
def asked(monkeypatch, capsys):
    """What the program answers to an instruction, for a line whose last word is not complete."""

    def ask(instruction, line=""):
        monkeypatch.setenv("_CONVLET_COMPLETE", instruction)
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
        with pytest.raises(SystemExit) as ended:
            main([])
        out, err = capsys.readouterr()
        assert (ended.value.code, err) == (0, "")
        return out

    return ask


def plain(*words):
    return [("plain", word) for word in words]


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("convlet ", plain(*COMMANDS)),
        ("convlet tr", plain("train")),
        ("convlet --v", plain("--version")),
        ("convlet train ", [("file", ""), *plain(*datasets.names())]),
        ("convlet train fash", [("file", "fash"), *plain("fashion-mnist")]),
        ("convlet train ./da", [("file", "./da")]),
        ("convlet train mnist --rec", plain("--recipe")),
        (
            "convlet train --recipe best",
            plain(*(name for name in recipes.NAMES if name.startswith("best"))),
        ),
        ("convlet train --recipe ", plain(*recipes.NAMES)),
        ("convlet find-lr --optimizer ", plain(*BY_NAME)),
        ("convlet train --schedule ", plain(*SCHEDULES)),
        ("convlet train --engine n", plain("native")),
        ("convlet train --out x", [("file", "x")]),
        ("convlet train --checkpoint ", [("dir", "")]),
        ("convlet evaluate m", [("file", "m")]),
        ("convlet evaluate m.safetensors mn", [("file", "mn"), *plain("mnist")]),
        ("convlet predict m.safetensors a.png b", [("file", "b")]),
        ("convlet plot re", plain("reliability")),
        ("convlet bench --network 3", plain(*(n for n in NETWORKS if n.startswith("3")))),
    ],
)
def test_offers(line, offers, asked):
    answers = asked("bash_complete", line).splitlines()
    assert [tuple(answer.split(",", 1)) for answer in answers] == offers


def test_zsh_and_fish_get_the_help_of_a_command(asked):
    assert "plain\ntrain\nTrain a network and save it." in asked("zsh_complete", "convlet tr")
    script = asked("fish_source")
    assert "complete --no-files --command convlet" in script
    assert "_CONVLET_COMPLETE=zsh_complete convlet" in asked("zsh_source")


def test_in_bash(tmp_path):
    """As README says it, with a command `convlet` that is the one of this Python."""
    script = f"""
printf '#!/bin/sh\\nexec {" ".join(children.CONVLET)} "$@"\\n' > convlet && chmod +x convlet
PATH=$PWD:$PATH
eval "$(_CONVLET_COMPLETE=bash_source convlet)"
complete -p convlet
COMP_WORDS=(convlet train --recipe best-); COMP_CWORD=3
_convlet_completion convlet
echo "${{COMPREPLY[@]}}"
"""
    done = children.run(["bash", "-c", script], cwd=tmp_path)
    registered, offers = done.stdout.splitlines()
    assert registered == "complete -o nosort -F _convlet_completion convlet"
    assert offers == "best-characters best-things best-photos"


def test_what_needs_no_names_loads_no_numpy():
    code = "import sys; from convlet.cli import main\ntry: main([])\nfinally: print(*sys.modules)"
    variables = {
        "_CONVLET_COMPLETE": "bash_complete",
        "COMP_WORDS": "convlet tr",
        "COMP_CWORD": "1",
    }
    done = children.python(code, **variables)
    answer, modules = done.stdout.splitlines()
    assert (done.returncode, answer) == (0, "plain,train")
    assert not {"numpy", "convlet.cli.train"} & set(modules.split())
