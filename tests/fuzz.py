"""Feeds damaged files to whatever reads files: no crash, no hang, no gigabytes. Needs `pip install atheris`.

    .venv/bin/python tests/fuzz.py KIND FOLDER -max_total_time=SECONDS -rss_limit_mb=4096 -timeout=60

KIND is checkpoint, header, image, video or tracks. FOLDER begins with whole files, and gathers what leads to new lines
of code.
An error that is no `InputError` ends the run; the bytes that caused it are kept in a file named crash-…
"""
import sys
import tempfile
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import atheris
import av
import numpy as np
import torch
from PIL import Image

with atheris.instrument_imports(include=['vsrprune', 'torch._weights_only_unpickler', 'PIL']):
    import torch._weights_only_unpickler  # noqa: F401

    from vsrprune import checkpoints
    from vsrprune.basicvsr import BasicVSR, Plan
    from vsrprune.files import InputError
    from vsrprune.frames import open_clip, write_clip
    from vsrprune.tracks import Tracks, join_clips

LONGEST = 1 << 18      # bytes of a file that is tried


def checkpoint_seeds(folder:Path)->Iterator[Path]:
    "One small network in every layout"
    torch.manual_seed(0)
    narrow = Plan.dense(2, 1, tail=2, flow=((2, 2, 2, 2),)*6)
    model = BasicVSR(narrow)
    yield checkpoints.save(model, folder/'plain.safetensors')
    yield checkpoints.save(model, folder/'packed.safetensors', compress=True)
    weights = model.state_dict()
    for name, kept in dict(bare=weights, nested=dict(params_ema=weights, iter=3, best=np.float64(27.2))).items():
        torch.save(kept, folder/f'{name}.pth')
        yield folder/f'{name}.pth'


def read_checkpoint(path:Path): checkpoints.load(path)


def header_seeds(folder:Path)->Iterator[Path]:
    "The header of one of our files, as JSON"
    plain = next(checkpoint_seeds(folder)).read_bytes()
    (folder/'header').write_bytes(plain[8:8 + int.from_bytes(plain[:8], 'little')])
    yield folder/'header'


def read_header(path:Path):
    "With as many bytes behind it as it promises"
    text = path.read_bytes()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + bytes(LONGEST))
    checkpoints.load(path)


def image_seeds(folder:Path)->Iterator[Path]:
    "One picture in every format, with 8 and 16 bits, turned and transparent"
    rgb = np.random.default_rng(0).integers(0, 256, (12, 16, 3)).astype(np.uint8)
    picture = Image.fromarray(rgb)
    turned = Image.Exif()
    turned[0x0112] = 6
    for kind in 'png', 'bmp', 'tiff', 'webp', 'ppm': picture.save(folder/f'plain.{kind}')
    picture.save(folder/'turned.jpg', exif=turned)
    picture.convert('RGBA').save(folder/'transparent.png')
    picture.convert('P').save(folder/'palette.png')
    Image.fromarray(rgb[..., 0].astype(np.uint16)*257).save(folder/'deep.tiff')
    for file in write_clip(rgb[None].astype(np.uint16)*257, folder/'deep').glob('*.png'): file.rename(folder/'deep.png')
    (folder/'deep').rmdir()
    yield from folder.iterdir()


def read_images(path:Path):
    "In whatever format the bytes are, under every name"
    for kind in 'png', 'jpg', 'tiff': _read_as(path, path.with_suffix(f'.{kind}'))


def _read_as(path:Path, name:Path):
    path.rename(name)
    try:
        for _ in open_clip(name, deep=True): pass
    finally: name.rename(path)


def video_seeds(folder:Path)->Iterator[Path]:
    "Six frames in every container"
    clip = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    for kind in 'mp4', 'mkv', 'webm': yield write_clip(clip, folder/f'six.{kind}', fps=25)
    for kind, codec in dict(avi='mpeg4', ts='mpeg2video', y4m='rawvideo').items():
        with av.open(str(folder/f'six.{kind}'), 'w', format='yuv4mpegpipe' if kind == 'y4m' else None) as out:
            stream = out.add_stream(codec, 25, width=16, height=16, pix_fmt='yuv420p')
            for frame in clip: out.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
            out.mux(stream.encode(None))
        yield folder/f'six.{kind}'


def read_video(path:Path):
    "Frames, also deinterlaced, and what is said about them"
    for deinterlace in False, True:
        clip = open_clip(path, deinterlace=deinterlace)
        list(clip.remarks)
        for _, _ in zip(range(20), clip): pass


def tracks_seeds(folder:Path)->Iterator[Path]:
    "Six frames with half a second of noise, a title and a chapter, in every container"
    clip = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    noise = np.random.default_rng(0).normal(0, .1, (1, 24000)).astype(np.float32)
    for kind, codec in dict(mkv='libmp3lame', mp4='aac', avi='mp2', webm='libopus', ts='ac3').items():
        video = 'libvpx-vp9' if kind == 'webm' else 'mpeg4'
        with av.open(str(folder/f'sounding.{kind}'), 'w') as out:
            out.metadata['title'] = 'Noise'
            picture = out.add_stream(video, 25, width=16, height=16, pix_fmt='yuv420p')
            sound = out.add_stream(codec, 48000, layout='mono')
            sound.metadata['language'] = 'deu'
            if kind == 'mkv': out.set_chapters([dict(id=1, start=0, end=100, time_base=Fraction(1, 1000), metadata={})])
            for frame in clip: out.mux(picture.encode(av.VideoFrame.from_ndarray(frame)))
            samples = av.AudioFrame.from_ndarray(noise, 'fltp', 'mono')
            samples.sample_rate = 48000
            resampler = av.AudioResampler(sound.format, 'mono', 48000, sound.codec_context.frame_size or 1152)
            for part in (*resampler.resample(samples), *resampler.resample(None)): out.mux(sound.encode(part))
            out.mux(picture.encode(None) + sound.encode(None))
        yield folder/f'sounding.{kind}'


def carry_tracks(path:Path):
    "Everything besides the picture, into every container"
    tracks = Tracks.of(open_clip(path))
    if not tracks: return
    for suffix in '.mp4', '.mkv', '.webm':
        pictures = path.with_name(f'pictures{suffix}')
        if not pictures.exists(): write_clip(np.zeros((6, 16, 16, 3), np.uint8), pictures, fps=25)
        tracks.remarks(suffix)
        try: join_clips([pictures], path.with_name(f'joined{suffix}'), Fraction(25), tracks)
        except InputError as e: raise AssertionError(f'not foreseen: {e}') from e


TARGETS = dict(checkpoint=(checkpoint_seeds, read_checkpoint, ('.pth', '.safetensors')),
               header=(header_seeds, read_header, ('.safetensors',)),
               image=(image_seeds, read_images, ('.png',)),
               video=(video_seeds, read_video, ('.mkv',)),
               tracks=(tracks_seeds, carry_tracks, ('.mkv',)))


def fuzz(kind:str, folder:Path, options:list[str]):
    "Run libFuzzer on one target"
    seeds, read, suffixes = TARGETS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        for number, seed in enumerate(list(seeds(Path(made)))): (folder/f'seed{number}').write_bytes(seed.read_bytes())
    scratch = Path(tempfile.mkdtemp(prefix='fuzz'))

    def once(data:bytes):
        for suffix in suffixes:
            path = scratch/f'file{suffix}'
            path.write_bytes(data)
            try: read(path)
            except InputError: pass
    atheris.Setup([sys.argv[0], str(folder), f'-max_len={LONGEST}', *options], once)
    atheris.Fuzz()


if __name__ == '__main__':
    warnings.simplefilter('ignore')
    av.logging.set_level(None)
    torch.set_num_threads(1)
    fuzz(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
