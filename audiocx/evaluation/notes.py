"""The lines below the tables of a report."""

from __future__ import annotations

from audiocx.evaluation.facts import Origin
from audiocx.evaluation.scoring import Scores
from audiocx.evaluation.tables import Report, heading


def notes(report: Report) -> list[str]:
    """Lines below the tables: what models cost and where they come from, the test set, undefined scores."""
    lines = []
    threads = f"{report.scores.n_threads} thread{'' if report.scores.n_threads == 1 else 's'}"
    if report.scores.n_scoring:
        threads += f" beside {report.scores.n_scoring} processes that score"
    for summary in report.summaries:
        if summary.system not in report.models:
            continue
        facts = summary.facts
        words = []
        if facts is not None and facts.parameters_real is not None:
            words.append(f"{facts.parameters_real:,} real parameters")
        if facts is not None and facts.macs_per_second is not None:
            words.append(f"{facts.macs_per_second / 1e9:.3f} GMAC a second of audio")
        if summary.real_time_factor is not None:
            words.append(f"real-time factor {summary.real_time_factor:.3f} (wall time, {threads})")
        if words:
            lines.append(f"{summary.system}: {', '.join(words)}")
    lines += [*origins(report), *report.remarks, f"test set: {report.scores.test_fingerprint}"]
    return lines + undefined_scores(report)


def origins(report: Report) -> list[str]:
    """One line for each model that was loaded: from where, after how many steps, its weights, its data."""
    by_origin: dict[Origin, str] = {}
    for name, facts in zip(report.models, report.facts, strict=True):
        if facts.origin is not None:
            by_origin.setdefault(facts.origin, name)  # the modulus of its mask is of the same model
    lines = []
    for origin, name in by_origin.items():
        words = [f"checkpoint {origin.checkpoint}"]
        words += [] if origin.step is None else [f"step {origin.step}"]
        words.append(f"weights {origin.weights}")
        words += [] if origin.data_fingerprint is None else [f"trained on data {origin.data_fingerprint}"]
        lines.append(f"{name}: {', '.join(words)}")
    return lines


def undefined_scores(report: Report) -> list[str]:
    """Lines on scores left out of the means: one for each reason, not for each system and metric."""
    by_text: dict[str, dict[str, list[str]]] = {}
    for summary in report.summaries:
        for metric, reasons in summary.undefined.items():
            if all("needs the package" in reason for reason in reasons):
                continue  # said once, at the start
            worded = ", ".join(f"{reason} ({count})" for reason, count in reasons.items())
            text = (
                f"undefined for {sum(reasons.values())} of {summary.headline.files} files,"
                f" left out of the mean: {worded}"
            )
            by_text.setdefault(text, {}).setdefault(summary.system, []).append(heading(metric))
    lines = []
    for text, by_system in by_text.items():
        by_metrics: dict[str, list[str]] = {}
        for system, metrics in by_system.items():
            by_metrics.setdefault(", ".join(metrics), []).append(system)
        for names, systems in by_metrics.items():
            whose = "" if len(systems) == len(report.summaries) else f"{', '.join(systems)}: "
            lines.append(f"{whose}{names} {text}")
    return lines


def failures(scores: Scores) -> list[str]:
    """One line for each item that has no scores, or for each system that failed on it."""
    by_item: dict[tuple[str, str], list[str]] = {}
    for row in scores.failures:
        by_item.setdefault((row.name, row.failure), []).append(row.system)
    lines = []
    for (name, failure), systems in by_item.items():
        which = "" if len(systems) == len(scores.systems) else f" ({', '.join(systems)})"
        lines.append(f"{name}{which}: {failure}")
    return lines
