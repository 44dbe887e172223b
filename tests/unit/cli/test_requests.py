"""What approvers are shown of a request."""

from exchange.cli.requests import print_request

WAITS = {
    "id": "req_0",
    "grant": None,
    "closed": None,
    "status": "pending_approval",
    "waiting": {
        "for": "provider",
        "organisation_id": "org_0",
        "since": "2026-11-26T09:00:00Z",
        "until": "2026-12-10T09:00:00Z",
        "approvals": 0,
        "approvers": 2,
    },
    "reasons": [],
    "remedies": [],
    "form": {"use": "baking [bold]", "tons": 3},
    "form_digest": "sha256:" + "0" * 64,
}


def test_who_approves_is_shown_the_form_and_its_digest(capsys):
    print_request(WAITS, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "use: baking [bold]" in shown
    assert "tons: 3" in shown
    assert f"--form-digest {WAITS['form_digest']}" in shown


def test_an_empty_form_is_nothing_to_show(capsys):
    print_request(WAITS | {"form": {}}, as_json=False)
    assert "--form-digest" not in capsys.readouterr().out
