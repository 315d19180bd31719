# In place of quay.io/keycloak/keycloak: the same Keycloak from Maven.
FROM debian:bookworm-slim
COPY jre /opt/jre
COPY keycloak /opt/keycloak
RUN useradd --uid 1000 --gid 0 --no-create-home --home-dir /opt/keycloak keycloak \
    && mkdir -p /opt/keycloak/data \
    && chown -R 1000:0 /opt/keycloak
ENV JAVA_HOME=/opt/jre
USER 1000
ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]
