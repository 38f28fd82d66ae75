"""All audio, frontend, network, training and quantization constants of hearlite, with their sources.

Importing this module does not import TensorFlow. Sources: [hear] Google-Health/hear `audio_utils.py` and the model
card; [PCEN] Wang et al. 2017, arXiv:1607.05666. "Heuristic" marks values with no published source.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field

from hearlite.errors import UsageError

Range = tuple[float, float]


@dataclass(frozen=True)
class AudioSpec:
    """Rate, length and scale of a clip, the unit that models take. The values are HeAR's [hear]."""

    sample_rate_hz: int = 16_000
    clip_s: float = 2.0
    pcm_full_scale: int = 32_768  # int16 -> float is x / 32768, so the range is [-1, 1)

    @property
    def clip_samples(self) -> int:
        """Number of samples in a clip."""
        return round(self.sample_rate_hz * self.clip_s)


@dataclass(frozen=True)
class FrontendSpec:
    """The mel-PCEN frontend, which turns audio into an image, float32 `[n, frames, mels]`.

    Steps: min-max of each clip to [-1, 1], power STFT, mel, PCEN [PCEN], then optionally a resize in time and log1p.
    The defaults are HeAR's [hear].
    """

    sample_rate_hz: int = 16_000
    window_samples: int = 400  # 25 ms, periodic Hann
    hop_samples: int = 160  # 10 ms; the last frames are zero-padded at the end, there is no centring
    fft_length: int = 400  # 40 Hz per bin; as in HeAR, not a power of two
    mels: int = 128
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    range_floor: float = 1e-8  # added to max - min before the division, so silence is defined
    pcen_smoothing: float = 0.04  # first-order IIR, initial state = first frame
    pcen_alpha: float = 0.8
    pcen_delta: float = 2.0
    pcen_root: float = 2.0
    pcen_floor: float = 1e-8
    resize_frames: int = 0  # bilinear, half-pixel centres, time only; 0: no resize
    log1p: bool = False  # True for students: evens out the distribution before int8

    def __post_init__(self) -> None:
        if self.fft_length < self.window_samples:
            raise UsageError(
                f"fft_length is {self.fft_length}, shorter than the window of {self.window_samples} samples",
                "use fft_length >= window_samples",
            )
        if self.window_samples % 2 or not 1 <= self.hop_samples <= self.window_samples:
            raise UsageError(
                f"window_samples is {self.window_samples} and hop_samples {self.hop_samples}",
                "the window must be even and the hop from 1 to the window: a longer hop would skip samples",
            )
        if self.mels < 1 or self.resize_frames < 0:
            raise UsageError(
                f"mels is {self.mels} and resize_frames {self.resize_frames}",
                "use at least 1 band, and 0 or more frames",
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate_hz / 2:
            raise UsageError(
                f"mel range {self.low_hz} - {self.high_hz} Hz",
                f"use 0 <= low_hz < high_hz <= {self.sample_rate_hz / 2:g}",
            )

    def stft_frames(self, samples: int) -> int:
        """Return the number of STFT frames of a clip: one per hop, zero-padded at the end."""
        return math.ceil(samples / self.hop_samples)

    def frames(self, samples: int) -> int:
        """Return the number of frames in the image of a clip with `samples` samples."""
        return self.resize_frames or self.stft_frames(samples)


BLOCKS = {  # kinds of blocks: in which order they convolve
    "depthwise": "1x1 to `expand` channels, each alone, 1x1 to `out` (arXiv:1801.04381); no first one for `expand` 0",
    "narrow": "each input channel alone, 1x1 to `expand`, 1x1 to `out` (ConvNeXt's order, arXiv:2201.03545)",
    "dense": "all channels to `expand`, 1x1 to `out` (fused MBConv, arXiv:2104.00298); only the first for `expand` 0",
}


@dataclass(frozen=True)
class Block:
    """An inverted residual block of one of BLOCKS, or without expansion and residual if `expand` is 0.

    `kernel` and `stride` are (time, frequency). A dense block's kernel (1, 0) spans all frequency rows, as the head's
    does: one row is left, and kernels (n, 1) of later blocks are convolutions over time alone.
    """

    expand: int  # channels of the expansion
    out: int  # output channels
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    tap: bool = False  # its pooled output also feeds the embedding
    kind: str = "depthwise"  # one of BLOCKS

    def __post_init__(self) -> None:
        if self.kind not in BLOCKS:
            raise UsageError(f"kind of a block is {self.kind!r}", f"use one of {', '.join(BLOCKS)}")
        if self.out < 1 or self.expand < (self.kind == "narrow") or min(self.stride) < 1:
            raise UsageError(
                f"{self}", "use out and strides of 1 or more, and expand of 0 or more, in a narrow block 1"
            )
        if min(self.kernel) < 1 and not (self.kind == "dense" and self.kernel == (1, 0) and self.stride[1] == 1):
            raise UsageError(
                f"kernel of a {self.kind} block is {self.kernel} with stride {self.stride}",
                "use sizes of 1 or more; (1, 0), all frequency rows, in a dense block with frequency stride 1",
            )


@dataclass(frozen=True)
class StudentSpec:
    """The student network: residual blocks of plain ReLU6 convolutions with time stride 16 in all STUDENTS.

    It has no squeeze-excite, which breaks int8 fusion.
    """

    size: str
    frontend: FrontendSpec
    stem_channels: int
    blocks: tuple[Block, ...]
    head_channels: int
    # (time, frequency); with an equal stride the stem cuts the image into patches, (4, 4) or whole frames (4, mels).
    stem_kernel: tuple[int, int] = (3, 3)
    stem_stride: tuple[int, int] = (2, 2)
    # Frequency before the pooling over time. "learned": the head's kernel spans all rows; "mean": one row, averaged.
    frequency: str = "learned"
    # Or "hard-swish-se", MobileNetV3's with squeeze-excite (arXiv:1905.02244): for comparison in float, not for int8.
    nonlinearity: str = "relu6"
    embedding_dim: int = 512  # the teacher's; HeAR's is 512 [hear]
    min_centred_cosine: float = 0.995  # of quantized to float32 embeddings: the quality gate of this size

    def __post_init__(self) -> None:
        for name, allowed in (("frequency", ("learned", "mean")), ("nonlinearity", ("relu6", "hard-swish-se"))):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}", f"use one of {', '.join(allowed)}")


@dataclass(frozen=True)
class LossSpec:
    """Weights of the terms of the distillation loss, distill/losses.py."""

    huber: float = 1.0  # of every target coordinate
    centred_cosine: float = 1.0  # 1 - cosine of embedding and target
    relational: float = 0.5  # of the batch's cosine-similarity matrices (arXiv:1907.09682)
    whitened: float = 0.25  # squared error in PCA axes, weighted by 1 / (variance + shrinkage)
    whitened_shrink: float = 0.1  # as a share of the mean eigenvalue


@dataclass(frozen=True)
class AugmentSpec:
    """Augmentation of the student's input only; the target remains the vector of the unchanged clip.

    0 switches a part off. The defaults are the recommended values, heuristic where no source is named. Gain matters
    although the frontend removes it, because clipping and rounding to int16 come after it.
    """

    gain_db: float = 30.0  # uniform in +- this: hearlite's requirement, -30 ... +10 dB
    # Limits of the peak after gain: 18 steps of int16, and nearly a square wave.
    peak_dbfs: Range = (-65.0, 6.0)
    # Share of full scale, uniform in +- this. Matters only where clipping becomes one-sided: the frontend removes it.
    dc_offset: float = 0.01
    tilt_db_per_octave: float = 2.0  # uniform in +- this: up to 6 dB at 8 kHz
    low_pass_p: float = 0.2
    low_pass_hz: Range = (1_500.0, 7_500.0)  # log-uniform: from a stethoscope to wide-band speech
    high_pass_p: float = 0.3
    high_pass_hz: Range = (20.0, 300.0)  # log-uniform: up to the telephone band, ITU-T G.712
    device_p: float = 0.6  # for a random device impulse response; measured ones: Morocutti et al., arXiv:2305.07499
    device_decay_s: Range = (0.000_3, 0.003)  # log-uniform time constant of its tail
    noise_p: float = 0.3
    noise_snr_db: Range = (5.0, 40.0)  # uniform; the colour is uniform between white and brown
    mixstyle_p: float = 0.4  # Freq-MixStyle, Schmid et al. DCASE 2022; both values are usual in DCASE's task 1
    mixstyle_alpha: float = 0.3  # of Beta(alpha, alpha)
    mask_share: float = 0.2  # the largest masked share of the mel bands; SpecAugment, arXiv:1904.08779

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value, positive = getattr(self, item.name), item.name.endswith(("_hz", "_s"))
            if isinstance(value, tuple):
                if not (all(map(math.isfinite, value)) and value[0] <= value[1] and (value[0] > 0 or not positive)):
                    raise UsageError(
                        f"{item.name} is {value}", f"use (low, high) with low <= high{', above 0' if positive else ''}"
                    )
            elif not 0 <= value <= (1 if item.name.endswith(("_p", "_share")) else 1e3):
                raise UsageError(
                    f"{item.name} is {value}", "use 0 or more, for a probability or a share at most 1; 0 is off"
                )
        if self.mixstyle_p and not self.mixstyle_alpha:
            raise UsageError("mixstyle_alpha is 0", "use more, or mixstyle_p = 0 to switch it off")


@dataclass(frozen=True)
class ViewSpec:
    """Views of a clip: variants that teacher and student both take as input.

    0 or (0, 0) switches a kind off. Heuristic values, no published source.
    """

    # Uniform in +- this, only where the recording goes on. Shifts of 50–200 ms change HeAR's vector little.
    shift_s: float = 0.2
    mixup_db: Range = (0.0, 15.0)  # level of the mixed-in clip below the clip's own (rms), uniform
    noise_snr_db: Range = (5.0, 30.0)  # uniform; the colour is uniform between white and brown
    # Length that is kept; zeros follow. Padding changes HeAR's vector a lot, and the student must learn that.
    crop_s: Range = (0.5, 1.8)
    # Probability of a crop on top of the view's kind; 1/8 was too rare to learn (benchmarks/results/robustness-yamnet).
    crop_p: float = 0.5
    # Probability of another speed and another balance of bands, before anything is mixed in: sounds that the corpora
    # lack, which the teacher still has a vector for.
    warp_p: float = 0.0
    warp_speed: Range = (0.6, 1.7)  # of playback, log-uniform: changes pitch, formants and tempo alike
    warp_db: float = 12.0  # each of WARP_BANDS bands of equal width in octaves is raised or lowered by up to this

    def __post_init__(self) -> None:
        for low, high in (self.mixup_db, self.noise_snr_db, self.crop_s, (0.0, self.shift_s), (0.0, self.warp_db)):
            if not -math.inf < low <= high < math.inf:
                raise UsageError(f"{self}", "use finite (low, high) with low <= high, and shift_s >= 0")
        if not 0 <= self.crop_s[0] <= self.crop_s[1] <= AudioSpec.clip_s:
            raise UsageError(f"crop_s is {self.crop_s}", f"use 0 ... {AudioSpec.clip_s:g} s")
        for name in ("crop_p", "warp_p"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UsageError(f"{name} is {getattr(self, name)}", "use 0 ... 1")
        if not 0.25 <= self.warp_speed[0] <= self.warp_speed[1] <= 4.0:
            raise UsageError(f"warp_speed is {self.warp_speed}", "use (low, high) from 0.25 to 4")


NORMALISATIONS = {
    "phi-s": "PCA, rotated so that all coordinates vary alike, over one scalar",
    "standardised": "each of the teacher's coordinates over its own deviation",
    "centred": "the teacher's coordinates over one scalar",
}


@dataclass(frozen=True)
class TrainSpec:
    """Training settings of a student. `steps` is the one to change first."""

    steps: int = 2_000  # training steps of one batch each
    batch_size: int = 64  # clips
    peak_lr: float = 2e-3  # of AdamW, after the warm-up; it falls by a cosine to 0
    warmup_fraction: float = 0.05  # of the steps, with a rising learning rate
    weight_decay: float = 0.03  # of AdamW
    clip_norm: float = 1.0  # largest norm of the whole gradient
    ema_decay: float = 0.999  # of the moving average of the weights, which is what ships
    # With Keras' 0.99 the statistics lag behind in runs of a few hundred steps (measured).
    batchnorm_momentum: float = 0.9
    checkpoint_every: int = 100  # steps; work since the last checkpoint is lost when training is killed
    # Training ends early after this many checkpoints without a better probe correlation
    # (distill/validation_metrics.py); 0: never.
    patience: int = 10
    ridge: float = 1e-3  # for the closed-form refit of the head, as a share of the mean feature variance
    seed: int = 0  # of weights, batches and augmentation
    loss: LossSpec = field(default_factory=LossSpec)
    augment: AugmentSpec = field(default_factory=AugmentSpec)
    views: int = 2  # per clip in the records, including the clip itself; each has its own teacher vector
    view: ViewSpec = field(default_factory=ViewSpec)
    clips: int = 0  # number of training clips to use, each with all its views, drawn at random; 0: all
    normalisation: str = "phi-s"  # of the targets, one of NORMALISATIONS
    # Of corpora in several datasets: with 0 each counts by its clips, with 1 each alike.
    balance: float = 0.0

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise UsageError(f"normalisation is {self.normalisation!r}", f"use one of {', '.join(NORMALISATIONS)}")
        for name in ("steps", "batch_size", "checkpoint_every", "views"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}", "use 1 or more")
        for name in ("peak_lr", "clip_norm", "ridge"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} is {getattr(self, name)}", "use a number above 0")
        for name in ("warmup_fraction", "weight_decay", "ema_decay", "batchnorm_momentum"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"{name} is {getattr(self, name)}", "use 0 or more and less than 1")
        if not 0.0 <= self.balance <= 1.0:
            raise UsageError(f"balance is {self.balance}", "use 0 ... 1")
        for name in ("seed", "clips"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}", "use 0 or more")


@dataclass(frozen=True)
class QatSpec:
    """Quantization-aware distillation, quantize/qat.py."""

    fraction: float = 0.0  # number of steps, as a share of the float run's; 0: none
    # Divides the float run's peak learning rate. With 18 (CP-Mobile, winner of DCASE 2023 task 1) `base` drifted away
    # from the float network: centred cosine 0.959, static quantization 0.993.
    lr_divisor: float = 100.0
    # Share of the loss towards the float student's output, which the gate compares with; the rest is the teacher's.
    student_share: float = 1.0
    checkpoint_every: int = 50  # steps; work since the last checkpoint is lost when training is killed


@dataclass(frozen=True)
class QuantSpec:
    """A quantization recipe (quantize/recipes/*.json) with the limits of its gate.

    Recipes are named as in ai-edge-quantizer: w weights, a activations, i int, fp float.
    """

    recipe: str = "static_wi8_ai8"
    weights: str = "int8"  # per output channel; or "float16"
    # Or "float32": weights are widened when the file is loaded; or "dynamic": int8 ranges per call, float32 in between.
    activations: str = "int8"
    ranges: str = "mse"  # for int8 activations: "minmax", "percentile" or "mse", quantize/ranges.py
    percentile: float = 99.99  # for "percentile"
    # Equalize channels of linear bottlenecks (quantize/equalize.py) and use ReLU6's headroom (quantize/headroom.py).
    equalize: bool = True
    # For int8 activations: pools and linear layers behind the trunk add up in float32 (quantize/float_sums.py).
    float_sums: bool = True
    refit_ridge: float = 10.0  # for the head's refit on the int8 trunk, quantize/refit.py; 0: no refit
    qat: QatSpec = field(default_factory=QatSpec)
    calibration_clips: int = 512
    calibration_seed: int = 0
    min_centred_cosine: float | None = None  # None: that of the student's size
    max_mean_auroc_loss: float | None = None  # limit of the AUROC drop; None: MAX_MEAN_AUROC_LOSS


# Code of an exported file's precision, by a recipe's (weights, activations), and its name. "f32" is not quantized.
PRECISIONS = {
    ("float32", "float32"): "f32",
    ("int8", "int8"): "i8",
    ("int8", "dynamic"): "d8",
    ("int8", "float32"): "w8",
    ("float16", "float32"): "f16",
}
PRECISION_NAMES = {
    "f32": "float32",
    "i8": "int8",
    "d8": "int8 weights, dynamic int8 activations",
    "w8": "int8 weights, float32 activations",
    "f16": "float16 weights",
}
# AUROC drop of probes, mean over tasks, that the gate allows: the project's goal.
MAX_MEAN_AUROC_LOSS = 0.003


AUDIO = AudioSpec()
DISTILL_HOP_S = 1.0  # between the clips that distill cuts from a recording, so that every second is used twice
# AUROC; heuristic, set before any run: the drop from 0.9 if a small student must keep 97.5 % of its teacher's AUROC.
AUROC_MARGIN = 0.02
HEAR_FRONTEND = FrontendSpec(resize_frames=192)
HEAR_EMBEDDING_DIM = 512  # [hear]

# 12.5 ms hop: 160 frames, 10 output steps of 200 ms. The window is two hops, so that framing is two slices.
STUDENT_FRONTEND = FrontendSpec(hop_samples=200, mels=64, low_hz=60.0, high_hz=7_800.0, log1p=True)


def _over_time(expand: int, out: int, *, steps: int = 3, stride: int = 1, tap: bool = False) -> Block:
    return Block(expand, out, (steps, 1), (stride, 1), tap, "dense")


def _square(expand: int, out: int, *, stride: int = 1, tap: bool = False) -> Block:
    return Block(expand, out, (3, 3), (stride, stride), tap, "dense")


# Patches of 4 x 4, dense blocks over time and frequency, then frequency rows become channels and all that follows is
# over time alone. Of the shapes tried (benchmarks/experiments/lists/faster.toml) these keep most for their cost: layers
# with few channels each alone take as long as dense ones on every processor looked at.
STUDENTS: dict[str, StudentSpec] = {
    "tiny": StudentSpec(
        size="tiny",
        frontend=STUDENT_FRONTEND,
        stem_channels=24,
        stem_kernel=(4, 4),
        stem_stride=(4, 4),
        blocks=(
            _square(48, 32, stride=2),
            _square(48, 32, tap=True),
            Block(160, 128, (1, 0), kind="dense"),
            _over_time(160, 128, steps=5, stride=2),
            _over_time(160, 128, tap=True),
            _over_time(160, 128),
        ),
        head_channels=256,
        min_centred_cosine=0.99,  # narrower layers round more coarsely
    ),
    "small": StudentSpec(
        size="small",
        frontend=STUDENT_FRONTEND,
        stem_channels=32,
        stem_kernel=(4, 4),
        stem_stride=(4, 4),
        blocks=(
            _square(64, 48, stride=2),
            _square(64, 48),
            _square(64, 48, tap=True),
            Block(192, 160, (1, 0), kind="dense"),
            _over_time(192, 160, steps=5, stride=2),
            _over_time(192, 160, tap=True),
            _over_time(192, 160),
            _over_time(192, 160, tap=True),
            _over_time(192, 160),
        ),
        head_channels=480,
    ),
    "base": StudentSpec(
        size="base",
        frontend=dataclasses.replace(STUDENT_FRONTEND, mels=128),
        stem_channels=32,
        stem_kernel=(4, 4),
        stem_stride=(4, 4),
        blocks=(
            _square(96, 64, stride=2),
            _square(96, 64),
            _square(96, 64, tap=True),
            Block(224, 160, (1, 0), kind="dense"),
            _over_time(224, 160, steps=5, stride=2),
            _over_time(224, 160, tap=True),
            _over_time(224, 160),
            _over_time(224, 160),
            _over_time(224, 160, tap=True),
            _over_time(224, 160),
            _over_time(224, 160),
        ),
        head_channels=512,
    ),
}


def student_spec(size: str, *, embedding_dim: int) -> StudentSpec:
    """Return the student of a size, for a teacher with `embedding_dim` dimensions.

    Raises UsageError when the size is unknown.
    """
    if size not in STUDENTS:
        raise UsageError(f"student size is {size!r}", f"use one of {', '.join(STUDENTS)}")
    return dataclasses.replace(STUDENTS[size], embedding_dim=embedding_dim)
