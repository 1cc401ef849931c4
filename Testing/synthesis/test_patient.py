"""Synthetic patients: made again from their seed, plausible, and true to their labels."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from tokenunet.core.errors import OutputError
from tokenunet.core.regions import ED, ET_LABEL, NCR, regions_from_labels
from tokenunet.core.sequences import SEQUENCES
from tokenunet.synthesis import Kind, SyntheticPatient, draw_parameters, synthetic_patient, write_patient
from tokenunet.synthesis.anatomy import Lattice, build_anatomy
from tokenunet.synthesis.growth import grow
from tokenunet.synthesis.mass import expansion_displacement
from tokenunet.synthesis.writing import in_field_of_view

SPACING = 4.0
VOXEL_ML = SPACING**3 / 1000


@pytest.fixture(scope="module")
def ring() -> SyntheticPatient:
    # Enhancement may be missing in large patches; here the rim is to be whole and the necrosis large enough to be told.
    drawn = ((seed, draw_parameters(seed, kind=Kind.RING).tumor) for seed in range(100))
    seed = next(s for s, t in drawn if t.patchiness < 0.1 and t.rim_mm > 2 and t.foci[0].radius_mm > 12)
    return synthetic_patient(seed, spacing=2.0, kind=Kind.RING)


def brain_of(patient: SyntheticPatient) -> np.ndarray:
    return patient.images["T1"] > 0


def test_the_same_seed_gives_the_same_patient():
    first, again = synthetic_patient(5, SPACING), synthetic_patient(5, SPACING)
    assert first.parameters == again.parameters
    assert np.array_equal(first.labels, again.labels)
    for name in SEQUENCES:
        assert np.array_equal(first.images[name], again.images[name])


def test_another_seed_gives_another_patient():
    assert draw_parameters(5) != draw_parameters(6)


def test_a_patient_is_the_same_person_at_every_spacing():
    fine, coarse = (regions_from_labels(synthetic_patient(4, s, kind=Kind.RING).labels)[0] for s in (2.0, 4.0))
    halved = fine.reshape(fine.shape[0] // 2, 2, fine.shape[1] // 2, 2, fine.shape[2] // 2, 2).mean((1, 3, 5)) > 0.5
    overlap = 2 * (halved & coarse).sum() / (halved.sum() + coarse.sum())
    assert overlap > 0.8


def test_every_spacing_puts_a_patient_at_the_same_place_in_space():
    reference, *others = (
        in_field_of_view(patient, (patient.labels > 0).astype(np.float32))
        for patient in (synthetic_patient(4, s, kind=Kind.RING) for s in (2.0, 1.6, 4.0))
    )
    truth = sitk.GetArrayFromImage(reference) > 0.5
    for other in others:
        moved = sitk.GetArrayFromImage(sitk.Resample(other, reference)) > 0.5
        assert 2 * (truth & moved).sum() / (truth.sum() + moved.sum()) > 0.85


def test_images_are_whole_positive_numbers_in_the_brain_and_zero_outside(ring):
    brain = brain_of(ring)
    for image in ring.images.values():
        assert image.dtype == np.float32
        assert np.array_equal(image, image.round())
        assert image.max() < 2**15
        assert np.array_equal(image > 0, brain)


@pytest.mark.parametrize("seed", range(3))
def test_volumes_are_those_of_people(seed):
    patient = synthetic_patient(seed, SPACING, kind=Kind.RING)
    brain = brain_of(patient)
    assert 1000 < brain.sum() * VOXEL_ML < 2200
    whole = patient.labels > 0
    assert 0.5 < whole.sum() * VOXEL_ML < 350
    assert not (whole & ~brain).any()


def test_labels_are_the_exclusive_ones_of_brats(ring):
    assert set(np.unique(ring.labels)) == {0, NCR, ED, ET_LABEL}


def test_the_ring_surrounds_necrosis_inside_edema(ring):
    whole, core, enhancing = (sitk.GetImageFromArray(r.astype(np.uint8)) for r in regions_from_labels(ring.labels))

    def share_within(inner: np.ndarray, outer: sitk.Image) -> float:
        hull = sitk.GetArrayFromImage(sitk.BinaryMorphologicalClosing(outer, [6, 6, 6])) > 0
        return float(hull[inner].mean())

    assert share_within(ring.labels == NCR, enhancing) > 0.7
    assert share_within(sitk.GetArrayFromImage(core) > 0, whole) == 1


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        (Kind.HEALTHY, {0}),
        (Kind.INFILTRATIVE, {0, ED}),
        (Kind.NON_ENHANCING, {0, NCR, ED}),
    ],
)
def test_kinds_have_the_labels_of_their_parts(kind, labels):
    # Some cores have no edema to speak of; this patient has.
    assert set(np.unique(synthetic_patient(12, SPACING, kind=kind).labels)) == labels


def test_all_kinds_are_drawn():
    assert {draw_parameters(seed).tumor.kind for seed in range(40)} == set(Kind)


@pytest.mark.parametrize("seed", range(20))
def test_contrasts_keep_the_order_that_radiologists_rely_on(seed):
    s = draw_parameters(seed).contrast.sequences
    assert s["FLAIR"].edema > s["FLAIR"].white
    assert s["FLAIR"].edema > s["FLAIR"].gray
    assert s["T2"].edema > s["T2"].white
    assert s["T1"].edema < s["T1"].white
    assert s["T1ce"].enhancing > s["T1ce"].edema
    assert s["T1ce"].enhancing > s["T1"].enhancing
    assert s["T1"].fluid < s["T1"].gray < s["T1"].white
    assert s["T1ce"].fluid < s["T1ce"].gray
    assert s["T2"].white - 0.03 < s["T2"].gray < s["T2"].fluid  # in some real patients white matter is as bright
    assert s["FLAIR"].fluid < s["FLAIR"].white


@pytest.mark.parametrize("seed", range(40))
def test_every_part_of_a_tumor_can_be_told_from_what_is_around_it(seed):
    contrast = draw_parameters(seed).contrast
    t1, t1ce, t2, flair = (contrast.sequences[name] for name in SEQUENCES)
    assert flair.edema - max(flair.white, flair.gray) > 0.07
    assert t2.edema - t2.white > 0.09
    assert (t1ce.enhancing - t1ce.edema) * (1 - contrast.weakness) > 0.015  # as faint as in real patients
    # A quarter of the cores is hardly unlike the edema, as real ones are.
    assert max(abs(one.core - one.edema) for one in (t1, t1ce, t2, flair)) > 0.01


def test_tumors_are_of_all_sizes_that_gliomas_have_when_found():
    patients = [synthetic_patient(seed, SPACING) for seed in range(24)]
    tumors = [p for p in patients if p.parameters.tumor.kind is not Kind.HEALTHY]
    whole_ml = sorted((p.labels > 0).sum() * VOXEL_ML for p in tumors)
    assert 30 < np.median(whole_ml) < 75
    assert whole_ml[len(whole_ml) // 10] < 30, "small ones are among them"
    assert whole_ml[-len(whole_ml) // 10] > 120, "and large ones"
    diffuse = [(p.labels > 0).sum() * VOXEL_ML for p in tumors if p.parameters.tumor.kind is Kind.INFILTRATIVE]
    assert min(diffuse) > 8


def test_the_image_shows_what_the_labels_say(ring):
    def z_scores(name: str) -> np.ndarray:
        image = ring.images[name]
        return (image - image[image > 0].mean()) / image[image > 0].std()

    flair, t1, t1ce = (z_scores(name) for name in ("FLAIR", "T1", "T1ce"))
    healthy = brain_of(ring) & (ring.labels == 0)
    assert flair[ring.labels == ED].mean() > flair[healthy].mean() + 0.5
    assert t1ce[ring.labels == ET_LABEL].mean() > t1[ring.labels == ET_LABEL].mean() + 0.5


def test_a_growing_mass_pushes_tissue_away():
    import torch

    z, y, x = torch.meshgrid(*[torch.arange(40.0)] * 3, indexing="ij")
    ball = ((z - 20) ** 2 + (y - 20) ** 2 + (x - 20) ** 2 < 36).float()
    u = expansion_displacement(ball, torch.ones(40, 40, 40, dtype=torch.bool), spacing=2.0)
    # Incompressible: the flux through a sphere around the ball equals the ball's volume, so u = r^3 / (3 d^2).
    at_twelve_voxels = float(u[2, 20, 20, 32])
    radius_mm = (float(ball.sum()) * 8 * 3 / (4 * torch.pi)) ** (1 / 3)
    assert at_twelve_voxels == pytest.approx(radius_mm**3 / (3 * 24**2), rel=0.15)
    assert float(u[2, 20, 20, 8]) == pytest.approx(-at_twelve_voxels, rel=0.05)


def test_only_the_offered_spacings_are_made():
    with pytest.raises(ValueError, match="2 or 4 mm"):
        synthetic_patient(0, spacing=3.0)


def test_a_written_folder_reads_back_identical(tmp_path):
    patient = synthetic_patient(7, SPACING)
    folder = write_patient(patient, tmp_path)
    assert folder == tmp_path / "synthetic_00007"
    names = {p.name for p in folder.iterdir()}
    assert names == {f"synthetic_00007_{s}.nii.gz" for s in ("t1", "t1ce", "t2", "flair", "seg")}
    for sequence, box in [*patient.images.items(), ("seg", patient.labels)]:
        image = sitk.ReadImage(str(folder / f"synthetic_00007_{sequence.lower()}.nii.gz"))
        array = sitk.GetArrayFromImage(image)
        inside = array[: box.shape[0], 6 : 6 + box.shape[1], 8 : 8 + box.shape[2]]
        assert np.array_equal(inside, box)
        assert array.sum(dtype=np.float64) == box.sum(dtype=np.float64)


def test_written_images_lie_where_brats_images_lie(tmp_path):
    image = sitk.ReadImage(str(write_patient(synthetic_patient(7, SPACING), tmp_path) / "synthetic_00007_t1.nii.gz"))
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    # The corner of the field of view, half a voxel before the first center, is that of BraTS's 1 mm images.
    corner = [o - s / 2 for o, s in zip(image.GetOrigin(), image.GetSpacing(), strict=True)]
    assert corner == pytest.approx([-0.5, -239.5, -0.5])
    extent = [n * s for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    assert extent == pytest.approx([240, 240, 156])


def test_an_unwritable_folder_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_patient(synthetic_patient(7, SPACING), tmp_path / "file")


def test_a_rim_thinner_than_the_voxels_fills_a_part_of_each():
    drawn = draw_parameters(4, kind=Kind.RING)
    tumor = replace(drawn.tumor, rim_mm=1.5, patchiness=0.0)
    work = build_anatomy(drawn.pose, Lattice(2.0), landmarks=True)
    coarse, fine = (grow(tumor, build_anatomy(drawn.pose, Lattice(s)), work) for s in (4.0, 1.0))
    assert float(coarse.enhancing_share.max()) < 1
    assert float(fine.enhancing_share.max()) == 1
    for shares in ("core_share", "enhancing_share"):
        coarse_ml, fine_ml = (float(getattr(g, shares).sum()) * v for g, v in ((coarse, 0.064), (fine, 0.001)))
        assert coarse_ml == pytest.approx(fine_ml, rel=0.1)
    assert float(fine.enhancing_share.sum()) == pytest.approx(float((fine.labels == ET_LABEL).sum()), rel=0.05)
