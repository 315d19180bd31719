# In place of quay.io/keycloak/keycloak: the same Keycloak from Maven. It is built into a form that
# starts fast for the options that docker-compose.yml sets; the official image does that when it starts.
FROM debian:bookworm-slim
COPY jre /opt/jre
COPY keycloak /opt/keycloak
ENV JAVA_HOME=/opt/jre
RUN KC_DB=dev-file KC_CACHE=local /opt/keycloak/bin/kc.sh build \
    && useradd --uid 1000 --gid 0 --no-create-home --home-dir /opt/keycloak keycloak \
    && mkdir -p /opt/keycloak/data \
    && chown -R 1000:0 /opt/keycloak
USER 1000
ENTRYPOINT ["/opt/keycloak/bin/kc.sh"]
