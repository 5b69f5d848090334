"Install vsrprune from settings.ini, the one place where name, version and requirements are written."
import shlex
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

here = Path(__file__).parent
config = ConfigParser(delimiters=['='])
config.read(here/'settings.ini', encoding='utf-8')
cfg = config['DEFAULT']
report, images = (shlex.split(cfg[f'{kind}_requirements']) for kind in ('report', 'image'))


class WithWeights(build_py):
    "Copies the shipped networks of data/weights, their cards and their licence into the package"
    def run(self):
        super().run()
        if self.editable_mode: return      # the repository has them
        target = Path(self.build_lib)/'vsrprune'/'weights'
        target.mkdir(parents=True, exist_ok=True)
        for path in sorted((here/'data'/'weights').iterdir()):
            if path.name == 'LICENSE' or path.suffix in ('.md', '.safetensors'): self.copy_file(str(path), str(target/path.name))


setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    license='Apache-2.0',
    url=cfg['git_url'],
    packages=find_packages(include=['vsrprune', 'vsrprune.*']),
    python_requires=f">={cfg['min_python']}",
    install_requires=shlex.split(cfg['requirements']),
    extras_require={'report': report, 'images': images,
                    'dev': report + images + shlex.split(cfg['dev_requirements'])},
    cmdclass={'build_py': WithWeights},
    entry_points={'console_scripts': shlex.split(cfg['console_scripts']),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    classifiers=['Programming Language :: Python :: 3',
                 'Topic :: Multimedia :: Video',
                 'Topic :: Scientific/Engineering :: Artificial Intelligence'],
    zip_safe=False,
)
