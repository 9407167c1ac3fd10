# Jenner as an image: one static program and nothing else.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /jenner ./cmd/jenner && mkdir /empty

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /jenner /jenner
COPY --from=build --chown=65532:65532 /empty /var/lib/jenner
COPY --from=build --chown=65532:65532 --chmod=1777 /empty /tmp
USER 65532:65532
EXPOSE 9797
ENTRYPOINT ["/jenner"]
