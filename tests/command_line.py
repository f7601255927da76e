"""What tests of the command line have in common."""

from convlet.cli import main


def assert_refused(arguments, capsys, *parts):
    """Status 2, nothing on stdout, one line on stderr that holds every part."""
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("convlet: error: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err
