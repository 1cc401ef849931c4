"""Recognition of scans that are none of the four sequences: maps, subtractions, localizers and others."""

import re

from tokenunet.study.dicom_tags import DicomTags
from tokenunet.study.identify.contrast_agent import plain_words

_KINDS = {
    "a subtraction": r"\b(sub(?!-| ?\d)|subs?tr\w*|soustr\w*|sustr\w*|sottr\w*|minus|difference|differenz)\b"
    r"|\b(post|km|gd|gad\w*|ce|c ?\+) ?- ?(t1\w* )?(pre|nativ\w*|vor|plain)\b",
    "diffusion": r"\b(\w?dwi\w*|diff(?!eo)\w*|dti|[a-z]{0,3}adc|trace\w*|b[ -]?\d{2,4}|b0|ivim|dki|hardi|tensor|colfa"
    r"|average dc|fractional an\w*|mean diff\w*|(fa|md|rd) ?maps?)\b|^(fa|md|rd|isotropic( image)?)$",
    "a T2* or susceptibility scan": r"t2w? ?(\*|star)|\b(\w?swi\w*|swan|swip|susc\w*|venobold|h[ae]+mo|medic|merge"
    r"|qsm)\b|t2.*\b(gre|ffe|fl2d|grass)\b|\b(gre|ffe|fl2d)\b.*t2|\bmag images?\b|\br2\*? ?map",
    "a phase image": r"\b(?<!in )(?<!opp )(?<!opposed )(?<!out )(?<!out of )phase$"
    r"|\b(part-phase|pha|phase ?(maps?|images?))\b",
    "perfusion": r"\b((?<!post[ -])perf\w*|pwi|dsc|dce|p?c?asl|(r|rel)? ?c?cb[fv]|mtt|ttp|tmax|ktrans|dyn\w*|gbp|pbp"
    r"|(negative )?enhancement integral|time to peak|mean transit\w*|blood (flow|volume))\b",
    "angiography": r"\b(mra|mrv|[23]?d?tof\w*|angio\w*|veno\w*|inhance|cow|pca|[23]d ?pc)\b",
    "a localizer": r"\b(loc(ali[sz]er)?s?\d*|scout\w*|survey\w*|(3|three)[ -]?pl\w*|aahead\w*|autoalign)\b",
    "a calibration": r"\b(cal|calib(ration)?|asset\w*|ref ?scan|sense ?ref\w*|(b1|field) ?map\w*|shim\w*)\b",
    "functional imaging": r"\b(bold|fmri|rsfmri|resting|ep2d\w*)\b",
    "spectroscopy": r"\b(spectro\w*|csi|svs|mrs|[sm]vs?_?press)\b",
    "a STIR": r"\bstir\b",
    "a steady-state scan of fluid": r"\b(ciss\w*|fiesta\w*|b-?ffe|balanced|drive|tru\w*fi\w*|psif|cosmic)\b",
    "a double inversion": r"\bdir\b(?!-)|double inv",
    "a map or projection": r"\b(mini?p|mip|(myo)?maps?|t[12]?map\w*|t[12] ?map\w*|projection|inv ?[12]"
    r"|mp2rage t1 images)\b",
    "an overlay or rendering": r"\b(overlay|fused|segment(ed|ation)|vrt|3d ?vr|volume render\w*)\b",
    "a picture of a screen or a report": r"\bscreen ?(save|shot|capture)s?\b|\bsecondary capture\b"
    r"|\bdose (report|info)\b|\bpatient protocol\b|\bexam\w* (summary|card)\b",
    "flow": r"\b(csf flow|cine|phase[ -]?contrast)\b",
    "an image of another part of the body": r"spine|\b(lumbar|cervical|thoracic|[lhb]ws)\b",
}
_DIXON_TYPES = {
    "FAT": "a fat image (Dixon)",
    "F": "a fat image (Dixon)",
    "FF": "a fat fraction (Dixon)",
    "FAT_FRACTION": "a fat fraction (Dixon)",
    "OPP_PHASE": "an opposed-phase image (Dixon)",
    "OUT_PHASE": "an opposed-phase image (Dixon)",
    "OUT_OF_PHASE": "an opposed-phase image (Dixon)",
    "OP": "an opposed-phase image (Dixon)",
}
"""Kind of Dixon image by image type of Siemens, GE and Philips."""
_DIXON_FAT = re.compile(r"^fat (?!sat|sup)|\b(dixon|ideal|lava ?flex|vibe ?flex)\b.*\b(f|fat)$|\bfat (only|image)\b")
_DIXON_OPPOSED = re.compile(r"\b(opp|opposed|out of phase|out ?phase|opp ?phase)\b")
_PROTON_DENSITY = re.compile(r"\b(pd\w*|proton)\b")
_DERIVED_TYPES = {
    "DIFFUSION", "ADC", "TRACEW", "FA", "TENSOR", "ASL", "PERFUSION", "CBF", "CBV", "RCBV", "RCBF", "MTT", "TTP",
    "MIP", "MNIP", "MINIP", "PROJECTION IMAGE", "SUB", "SUBTRACTION", "SUBTRACT", "P", "PHASE", "PHASE MAP", "SWI",
    "T2_STAR", "T1 MAP", "T2 MAP", "CSA REPORT", "SCREEN SAVE", "LOCALIZER",
}  # fmt: skip
_REFORMATTED_TYPES = {"MPR", "CSA MPR", "CSAMPR", "CSAPARALLEL", "REFORMATTED", "RESAMPLED", "CSA RESAMPLED", "CPR"}
_REFORMAT = re.compile(
    r"\b(<?mpr[ -]?range|re-?format\w*|re?fmt\w*|rekonstr\w*|curved|cpr)\b|\bmpr?[ -]?rage\b.*\bmpr\b"
    r"|\bmpr (ax\w*|cor\w*|sag\w*|tra\w*)$|^mpr\b|^(ax\w*|cor\w*|sag\w*|tra\w*) mpr\b"
)
"""Words for reformats; "mpr" alone is Siemens' short name of MPRAGE."""
_TARGET = re.compile(r"\b(to|in|on|onto|into|regto|2)[ -](the )?\S+")
"""Words for what a scan was registered to."""
_T2 = re.compile(r"t2(?!\d)")
_SUBTRACTED = re.compile(r"\bt1w?[ -]?(ce|c|gd|gad\w*|km|post) ?- ?t1(w|n|pre|nativ)?(?! ?(ce|c|gd|km|post))\b")
_PROTON_DENSITY_FILE = re.compile(r"\b(pdw?|proton ?density|proton)\b")


def kind_of_series(tags: DicomTags, description: str) -> str:
    """Return the kind of a series that is none of the four sequences; empty if it may be one.

    Args:
        tags: Tags of the series.
        description: Description or, without one, protocol of the series, as `plain_words` returns it.
    """
    types = [part.upper() for part in tags.image_type]
    if kinds := sorted(_DERIVED_TYPES.intersection(types)):
        return f"of image type {kinds[0]}"
    dixon = next((_DIXON_TYPES[part] for part in types if part in _DIXON_TYPES), "")
    if dixon or (dixon := _dixon_in(description)):
        return dixon
    sequence_name = tags.sequence_name.lower()
    if tags.b_value is not None or re.match(r"\*?ep_b\d", sequence_name):
        return "diffusion"
    if "EP" in tags.scanning_sequence or re.match(r"\*?ep(fid|se|2d)", sequence_name):
        return "echo-planar"
    if tags.acquisition_contrast in ("DIFFUSION", "PERFUSION", "T2_STAR", "STIR", "TAGGING", "SPECTROSCOPY", "TOF"):
        return f"its contrast is {tags.acquisition_contrast}"
    if re.search(r"spine|abdomen|pelvis|knee|shoulder|heart|breast", tags.body_part.lower()):
        return f"it shows the {tags.body_part.lower()}"
    for text in (description, sequence_name) if description else (plain_words(tags.protocol), sequence_name):
        if kind := _kind_in(text):
            return kind
    both_echoes = tags.echo_time is not None and tags.echo_time > 60  # "PD/T2" names both echoes of a series
    if _PROTON_DENSITY.search(description) and not (_T2.search(description) and both_echoes):
        return "proton density"
    return ""


def kind_of_file(text: str, sequence_at: int | None) -> str:
    """Return the kind of an image file that is none of the four sequences; empty if it may be one.

    If the name has a sequence, words before it may name a project or patient, as in ``DWI_study_p1_t1``. Only the word
    next to it and those that follow count.

    Args:
        text: Name without its ending, as `plain_words` returns it.
        sequence_at: Position of the last word for a sequence; None if there is none.
    """
    if dixon := _dixon_in(text):
        return dixon
    if _SUBTRACTED.search(text):
        return "a subtraction"
    if sequence_at is None:
        return _kind_in(text) or ("proton density" if _PROTON_DENSITY_FILE.search(text) else "")
    before = text[:sequence_at].split()
    next_to_it = before[-1] + " " if before and before[-1].isalpha() else ""
    return _kind_in(_TARGET.sub(" ", next_to_it + text[sequence_at:]))


def is_reformat(text: str, image_type: tuple[str, ...] = ()) -> bool:
    """Return whether a scan was computed from another one in other slices (MPR).

    Args:
        text: Name or description, as `plain_words` returns it.
        image_type: Image type of DICOM.
    """
    types = {part.upper() for part in image_type}
    if types & _REFORMATTED_TYPES or "ORIGINAL" in types:
        return not types.isdisjoint(_REFORMATTED_TYPES)
    return bool(_REFORMAT.search(text) or ("DERIVED" in types and re.search(r"\bmpr\b", text)))


def _kind_in(text: str) -> str:
    """Return the kind that a text names; empty if it names none."""
    if _SUBTRACTED.search(text):
        return "a subtraction"
    return next((kind for kind, pattern in _KINDS.items() if re.search(pattern, text)), "")


def _dixon_in(text: str) -> str:
    """Return the kind of Dixon image, other than water and in phase, that a text names; else empty."""
    if _DIXON_FAT.search(text):
        return "a fat image (Dixon)"
    return "an opposed-phase image (Dixon)" if _DIXON_OPPOSED.search(text) else ""
