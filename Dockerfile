# The commands of the README in a container, with TeX and a browser for the tests of the site:
#   docker build -t vsrprune . && docker run vsrprune make test
#   docker run -v "$PWD/out:/out" vsrprune sh -c 'make report && cp -r paper/report-default.pdf site /out'
# PyPI serves the CUDA build of PyTorch. For a CPU build, with its index in pip.conf:
#   docker build --secret id=pip,src=pip.conf -t vsrprune .
FROM python:3.11-slim-bookworm
RUN apt-get update \
 && apt-get install --no-install-recommends -y make git latexmk chromium \
    texlive-latex-base texlive-latex-recommended texlive-fonts-recommended \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /vsrprune
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf make setup
CMD ["make", "report"]
