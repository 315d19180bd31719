# In place of apache/kafka: the same Kafka from Maven. It is configured by the very class that the
# official image starts with, so that the same environment means the same.
FROM debian:bookworm-slim
COPY jre /opt/jre
COPY libs /opt/kafka/libs
COPY defaults /etc/kafka/docker
COPY run /etc/kafka/docker/run
RUN useradd --uid 1000 --create-home appuser \
    && install -d -o appuser -g root /opt/kafka/config /var/lib/kafka/data /mnt/shared/config
USER appuser
CMD ["/etc/kafka/docker/run"]
