"""One reason is one problem, whatever the number of its files."""

from perpixel.data.inspection.problems import Findings, Problem, name_files


def test_files_with_one_reason_share_a_problem_and_the_gravest_comes_first() -> None:
    findings = Findings()
    findings.add("empty mask", "b.png", "only sky", "Fine.", "notice")
    findings.add("empty mask", "a.png", "only sky", "Fine.", "notice")
    findings.add("one class", ["c.png"], "all alike", "Check.", "fatal")
    assert [problem.kind for problem in findings.problems()] == ["one class", "empty mask"]
    assert findings.problems()[1].files == ("a.png", "b.png")


def test_a_problem_reads_as_one_line() -> None:
    problem = Problem("no partner", ("a.png",), "the image has no mask", "Add it.", "left out")
    assert str(problem) == "no partner: a.png: the image has no mask. Add it."


def test_many_files_are_named_by_the_first() -> None:
    assert name_files(tuple("abcde")) == "a, b, c and 2 more: "
    assert name_files(()) == ""


def test_the_json_says_what_it_means_for_training() -> None:
    document = Problem("no pairs", (), "not one", "Mend.", "fatal").to_json()
    assert document == {
        "kind": "no pairs",
        "files": [],
        "message": "not one",
        "fix": "Mend.",
        "outcome": "fatal",
        "fatal": True,
    }
