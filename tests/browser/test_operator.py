"""What an operator of a server sees: that it is well, its metrics, and who may frame it."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def test_the_metrics_count_sessions_and_texts(page: Page) -> None:
    page.goto("/Explain?example=question")
    expect(page.locator("[class*=st-key-answer_]").first).to_be_visible(timeout=60_000)
    metrics = page.request.get("/_stcore/metrics").text()
    assert "active_sessions" in metrics
    assert 'snippet_reads_total{outcome="read"}' in metrics
    assert "conv_transpose" not in metrics.lower() and "127.0.0.1" not in metrics


def test_health_and_headers(page: Page) -> None:
    assert page.request.get("/healthz").json() == {"status": "ok"}
    headers = page.request.get("/").headers
    assert headers["content-security-policy"] == "frame-ancestors 'self'"
    assert headers["x-content-type-options"] == "nosniff"
