"""From rows to means, curves and differences: worked out by hand, then against published curves."""

from __future__ import annotations

import math
from typing import Any

import pytest

from calotype.evaluate.tables.bd import bd_rate
from calotype.evaluate.tables.published import VTM, Published
from calotype.evaluate.tables.rows import Row, Timing
from calotype.evaluate.tables.series import series
from calotype.evaluate.tables.speeds import speeds
from calotype.evaluate.tables.summary import JPEG, ImageSet, summarise

pytest.importorskip("scipy")

CURVE = [(0.25 * 2**k, 28.0 + 6 * k) for k in range(4)]


def row(codec: str, image: str, quality: float, bpp: float, psnr: float, **more: Any) -> Row:
    known: dict[str, Any] = {
        "set": "small", "title": codec.upper(), "kind": "lossy", "own": codec == "ours", "ending": ".x", "version": "1",
        "digest": None, "device": "cpu", "threads": 1, "jobs": 1, "processor": "one", "width": 80, "height": 100,
        "encode_seconds": 0.5, "decode_seconds": 0.25,
    }  # fmt: skip
    metrics = {"psnr": psnr, "largest_error": 7.0}
    return Row(image=image, codec=codec, quality=quality, bytes=round(1000 * bpp), metrics=metrics, **known | more)


def along(codec: str, ratio: float = 1.0, **more: Any) -> list[Row]:
    return [row(codec, "a", k, ratio * bpp, psnr, **more) for k, (bpp, psnr) in enumerate(CURVE)]


def sets(rows: list[Row], published: dict[str, Published] | None = None) -> ImageSet:
    (found,) = summarise(rows, published or {}).values()
    return found


def test_points_are_means_over_images() -> None:
    found = series([row("x", "a", 5, 1.0, 30.0, ideal_bits=7000.0), row("x", "b", 5, 3.0, 40.0, ideal_bits=23000.0)])
    (point,) = found.points
    assert point.bpp == 2.0
    assert point.bpsp == 2 / 3
    assert point.metrics == {"psnr": 35.0, "largest_error": 7.0}  # of dB, not of the mean error
    assert point.bpp_ideal == (7000 + 23000) / 2 / 8000
    assert (point.encode_seconds, point.decode_seconds) == (0.5, 0.25)


def test_the_largest_error_is_that_of_the_worst_image() -> None:
    rows = [row("x", "a", 5, 1.0, 30.0), row("x", "b", 5, 1.0, 30.0)]
    rows[1].metrics["largest_error"] = 9.0
    assert series(rows).points[0].metrics["largest_error"] == 9.0


def test_qualities_with_a_failure_have_no_point() -> None:
    other = [row("x", "b", k, bpp, psnr) for k, (bpp, psnr) in enumerate(CURVE) if k != 2]
    rows = [*along("x"), *other, row("x", "b", 2, 1.0, 30.0, error="it broke")]
    found = series(rows)
    assert [point.quality for point in found.points] == [0, 1, 3]
    assert len(found.failures) == 1


def test_a_codec_that_is_not_done_has_no_points_of_fewer_images() -> None:
    """A bench that was cut: the other codec has done both images, this one the first and half of the second."""
    both = [*along("x"), *(row("x", "b", k, bpp, psnr) for k, (bpp, psnr) in enumerate(CURVE))]
    found = sets([*both, *along("y"), row("y", "b", 1, 0.5, 34.0)])
    assert [point.quality for point in found.series["x"].points] == [0, 1, 2, 3]
    assert [point.quality for point in found.series["y"].points] == [1]


def test_metrics_that_one_image_lacks_have_no_mean() -> None:
    rows = [row("x", "a", 5, 1.0, 30.0), row("x", "b", 5, 1.0, 30.0)]
    rows[0].metrics["ms_ssim"] = 0.9
    assert "ms_ssim" not in series(rows).points[0].metrics
    rows[1].metrics["ms_ssim"] = math.nan
    assert series(rows).curve("ms_ssim") == []


def test_points_and_curves_go_by_rate() -> None:
    found = series(along("x")[::-1])
    assert found.curve() == CURVE
    assert found.curve("unheard of") == []
    lossless = [row("x", "a", 9, 9.0, math.inf)]
    assert series([*along("x"), *lossless]).curve() == CURVE  # an infinite PSNR is on no curve


def test_the_nearest_point_is_nearest_as_a_ratio() -> None:
    found = series(along("x"))  # 0.25, 0.5, 1, 2
    assert found.nearest(0.8).bpp == 1.0
    assert found.nearest(0.7).bpp == 0.5


def test_differences_are_those_of_bd() -> None:
    found = sets([*along("ours", 0.8), *along("webp"), *along("jpeg-420", 1.25), *along("jpeg-444", 2.0)])
    differences = {difference.anchor: difference for difference in found.differences("ours")}
    assert [*differences] == [JPEG, "jpeg-420", "jpeg-444", "webp"]
    assert differences["webp"].rate == pytest.approx(-20)
    assert differences["webp"].rate_akima == pytest.approx(-20)
    assert differences["webp"].decibels == pytest.approx(6 * math.log2(1.25))
    assert differences[JPEG].rate == pytest.approx(differences["jpeg-420"].rate)
    assert (differences["webp"].low, differences["webp"].high) == (28, 46)


def test_curves_that_do_not_overlap_have_no_difference() -> None:
    higher = [row("webp", "a", k, bpp, psnr + 50) for k, (bpp, psnr) in enumerate(CURVE)]
    assert sets([*along("ours"), *higher]).differences("ours") == []


def test_codecs_without_a_point_are_no_anchors() -> None:
    refused = [row("webp", "a", 0, 1.0, 30.0, error="webp takes RGB", applicable=False)]
    found = sets([*along("ours"), *along("jpeg-420"), *refused])
    assert [*found.anchors()] == ["jpeg-420"]
    assert [difference.anchor for difference in found.differences("ours")] == ["jpeg-420"]
    assert found.differences("webp") == []


def test_published_curves_go_with_their_set_only_if_it_is_whole() -> None:
    published = {VTM: Published(VTM, "somewhere", [(0.9 * bpp, psnr) for bpp, psnr in CURVE])}
    kodak = [
        row("ours", f"{n:02}", k, bpp, psnr, set="kodak") for n in range(24) for k, (bpp, psnr) in enumerate(CURVE)
    ]
    (difference,) = sets(kodak, published).differences("ours")
    assert difference.anchor == VTM
    assert difference.anchor_title == "VTM (published)"
    assert difference.rate == pytest.approx(bd_rate(CURVE, published[VTM].points))
    assert sets(kodak[4:], published).differences("ours") == []
    assert sets(along("ours"), published).published == {}


def test_sets_stay_apart_and_codecs_in_order() -> None:
    found = summarise([*along("z"), *along("a"), *along("z", set="other")], {})
    assert [*found] == ["small", "other"]
    assert [*found["small"].series] == ["z", "a"]
    assert [*found["other"].series] == ["z"]
    assert found["small"].images == ["a"]
    assert [each.codec for each in found["small"].of_kind("lossy")] == ["z", "a"]
    assert found["small"].of_kind("lossless") == []


def timing(codec: str, turn: int, encode: float, decode: float, cores: int = 1) -> Timing:
    return Timing(
        set="small", image="a", codec=codec, title=codec, kind="lossy", own=codec == "ours", version="1", digest=None,
        quality=5.0, processor="one", cores=cores, round=turn, megapixels=2.0, bytes=250_000, start_seconds=0.1 + turn,
        encode_seconds=encode, decode_seconds=decode, encode_peak_bytes=100 + turn, decode_peak_bytes=50,
    )  # fmt: skip


def test_ratios_are_within_a_round() -> None:
    """A machine that is ten times as slow in the second round changes no ratio."""
    turns = [(0, 1.0), (1, 10.0), (2, 1.0)]
    timings = [timing("ours", n, 0.5 * slow, 0.2 * slow) for n, slow in turns]
    timings += [timing("jxl-e7", n, 2.0 * slow, 0.1 * slow) for n, slow in turns]
    timings += [timing("ours", 0, 0.3, 0.1, cores=2)]
    ours, theirs, on_two = speeds(timings)
    assert (ours.codec, theirs.codec, on_two.cores) == ("ours", "jxl-e7", 2)
    assert (ours.encode, ours.decode) == (4.0, 10.0)  # megapixels a second, medians
    assert ours.encode_ratio == {"jxl-e7": pytest.approx(4.0)}
    assert theirs.encode_ratio == {"ours": pytest.approx(0.25)}
    assert ours.decode_ratio == {"jxl-e7": pytest.approx(0.5)}
    assert on_two.decode_ratio == {}
    assert (ours.bpp, ours.start_seconds, ours.encode_peak_bytes) == (1.0, 1.1, 102)


def test_error_bounds_are_columns() -> None:
    rows = [row("ours", "a", bound, 6.0 / bound, 40.0, kind="near-lossless") for bound in (2, 7)]
    rows += [row("other", "a", 7, 6.0, math.inf, kind="near-lossless")]
    bounds, found = sets(rows).near_lossless()
    assert bounds == ["2", "7"]
    assert [(series.codec, cells) for series, cells in found] == [
        ("ours", ["1.000 (40.00 dB), off by 7", "0.286 (40.00 dB)"]),
        ("other", ["", "2.000 (inf dB)"]),
    ]
