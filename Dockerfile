# The image of trials on Kubernetes and under `ray up`: this project with all that it needs, nothing of data or sweeps.
#   docker build --tag REGISTRY/orchestrate:0.1.0 .
# bash, rsync and ssh are for Ray's cluster launcher, wget for the probes of older KubeRay.
FROM python:3.11-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openssh-client rsync wget \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY orchestrator orchestrator
COPY trainables trainables
COPY search_spaces search_spaces
RUN pip install --no-cache-dir -c constraints.txt '.[dicom]'
RUN useradd --uid 10001 --user-group --create-home --shell /bin/bash orchestrate \
 && install -d -o orchestrate -g orchestrate /var/lib/orchestrate
ENV ORCHESTRATE_HOME=/var/lib/orchestrate \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    RAY_USAGE_STATS_ENABLED=0
# by number: Kubernetes sees only of a number that it is not root
USER 10001:10001
WORKDIR /home/orchestrate
