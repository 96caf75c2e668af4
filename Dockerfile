# An image with kerasgan3d and its pretrained generators:
#   docker build -t kerasgan3d .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" kerasgan3d \
#     sample nmc-cathode --size 128 --periodic --seed 0 -o cathode.tif
FROM python:3.13-slim AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl && rm -r /wheels \
    && useradd --no-create-home --uid 1000 user \
    && install --directory --mode 1777 /work /cache
# Whatever user `docker run --user` names can keep caches here.
ENV HOME=/cache
USER 1000
WORKDIR /work
ENTRYPOINT ["kerasgan3d"]
CMD ["--help"]
