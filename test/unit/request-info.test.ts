import { describe, expect, test } from "vitest";
import { parseRequestInfo, type RequestInfo } from "../../kubernetes/request-info.ts";

function parse(method: string, url: string) {
  return parseRequestInfo(method, new URL(url, "https://h"));
}

function infoOf(method: string, url: string): RequestInfo {
  const parsed = parse(method, url);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

type Row = [string, string, Partial<RequestInfo>];

describe("a resource request is parsed as the API server does", () => {
  test.each<Row>([
    ["GET", "/api/v1/namespaces", { verb: "list", resource: "namespaces", parts: ["namespaces"] }],
    ["GET", "/api/v1/namespaces/demo", { verb: "get", namespace: "demo", resource: "namespaces", name: "demo" }],
    ["GET", "/api/v1/namespaces/demo/pods", { verb: "list", namespace: "demo", resource: "pods", name: "" }],
    ["GET", "/api/v1/namespaces/demo/pods/shell", { verb: "get", namespace: "demo", resource: "pods", name: "shell" }],
    ["HEAD", "/api/v1/namespaces/demo/pods/shell", { verb: "get", name: "shell" }],
    ["HEAD", "/api/v1/pods", { verb: "list", namespace: "" }],
    ["GET", "/api/v1/pods", { verb: "list", namespace: "", resource: "pods", apiGroup: "", apiVersion: "v1" }],
    ["POST", "/api/v1/pods", { verb: "create" }],
    ["PUT", "/api/v1/namespaces/demo/pods/shell", { verb: "update" }],
    ["PATCH", "/api/v1/namespaces/demo/pods/shell", { verb: "patch" }],
    ["DELETE", "/api/v1/namespaces/demo/pods/shell", { verb: "delete" }],
    ["DELETE", "/api/v1/namespaces/demo/pods", { verb: "deletecollection" }],
    ["DELETE", "/api/v1/namespaces/demo", { verb: "delete", resource: "namespaces", name: "demo" }],
    ["OPTIONS", "/api/v1/namespaces/demo/pods", { verb: "" }],
    ["get", "/api/v1/namespaces/demo/pods", { verb: "" }],
    ["PUT", "/api/v1/namespaces/demo/status", { resource: "namespaces", name: "demo", subresource: "status" }],
    ["PUT", "/api/v1/namespaces/demo/finalize", { resource: "namespaces", name: "demo", subresource: "finalize" }],
    [
      "GET",
      "/api/v1/namespaces/demo/pods/shell/log",
      { verb: "get", subresource: "log", parts: ["pods", "shell", "log"] },
    ],
    ["POST", "/api/v1/namespaces/demo/pods/shell/exec", { verb: "create", subresource: "exec" }],
    ["GET", "/api/v1/namespaces/demo/pods/shell/exec/", { subresource: "exec", parts: ["pods", "shell", "exec"] }],
    [
      "GET",
      "/api/v1/namespaces/demo/pods/a%2Fexec",
      { name: "a", subresource: "exec", path: "/api/v1/namespaces/demo/pods/a/exec" },
    ],
    ["GET", "/api/v1/namespaces/demo/pods/shell/%65xec", { subresource: "exec" }],
    ["GET", "/api/v1/namespaces/demo/pods/shell/exec;x", { subresource: "exec;x" }],
    ["GET", "/api/v1/namespaces/demo/pods//exec", { name: "", subresource: "exec", verb: "list" }],
    ["GET", "/api/v1/namespaces/demo/pods/shell//exec", { name: "shell", subresource: "" }],
    [
      "GET",
      "/api/v1/namespaces/status/pods/shell/exec",
      { namespace: "status", resource: "pods", subresource: "exec" },
    ],
    [
      "GET",
      "/apis/apps/v1/namespaces/demo/deployments/web/scale",
      { apiGroup: "apps", resource: "deployments", subresource: "scale" },
    ],
    ["GET", "/apis/apps/v1/deployments", { apiPrefix: "apis", apiGroup: "apps", apiVersion: "v1", verb: "list" }],
    ["GET", "/apis/example.org/v1/namespaces/demo/pods/x/exec", { apiGroup: "example.org", subresource: "exec" }],
    [
      "GET",
      "/api/v1/nodes/n1/proxy/pods",
      { resource: "nodes", name: "n1", subresource: "proxy", parts: ["nodes", "n1", "proxy", "pods"] },
    ],
    ["GET", "/api/v1/watch/pods", { verb: "watch", resource: "pods", name: "" }],
    ["GET", "/api/v1/watch/namespaces/demo/pods/shell", { verb: "watch", namespace: "demo", name: "shell" }],
    ["GET", "/api/v1/watch/namespaces/demo/pods/shell/exec", { verb: "watch", subresource: "exec" }],
    ["POST", "/api/v1/watch/pods", { verb: "watch" }],
    ["GET", "/apis/apps/v1/watch/deployments", { verb: "watch", apiGroup: "apps", resource: "deployments" }],
    [
      "GET",
      "/api/v1/proxy/namespaces/demo/services/web/x/y",
      { verb: "proxy", resource: "services", name: "web", subresource: "" },
    ],
    ["GET", "/api/v1/proxy/nodes/n1/exec", { verb: "proxy", resource: "nodes", name: "n1", subresource: "" }],
  ])("%s %s", (method, url, expected) => {
    expect(infoOf(method, url)).toMatchObject({ isResourceRequest: true, ...expected });
  });
});

describe("list options", () => {
  const pods = "/api/v1/namespaces/demo/pods";
  test.each<Row>([
    ["GET", `${pods}?watch=true`, { verb: "watch" }],
    ["GET", `${pods}?watch=1`, { verb: "watch" }],
    ["GET", `${pods}?watch`, { verb: "watch" }],
    ["GET", `${pods}?watch=`, { verb: "watch" }],
    ["GET", `${pods}?watch=%ff`, { verb: "watch" }],
    ["GET", `${pods}?watch=0`, { verb: "list" }],
    ["GET", `${pods}?watch=False`, { verb: "list" }],
    ["GET", `${pods}?watch=false&watch=true`, { verb: "list" }],
    ["GET", `${pods}?watch=%zz`, { verb: "list" }],
    ["GET", `${pods}?watch=1;`, { verb: "list" }],
    ["GET", `${pods}/shell?watch=true`, { verb: "get", name: "shell" }],
    ["DELETE", `${pods}?watch=true`, { verb: "deletecollection" }],
    [
      "GET",
      `${pods}?fieldSelector=metadata.name%3Dshell`,
      { verb: "list", name: "shell", fieldSelector: "metadata.name=shell" },
    ],
    ["GET", `${pods}?fieldSelector=metadata.name=shell&watch=1`, { verb: "watch", name: "shell" }],
    ["GET", `${pods}?fieldSelector=metadata.name=..`, { name: "", fieldSelector: "metadata.name=.." }],
    ["GET", `${pods}?fieldSelector=metadata.name=a/b`, { name: "" }],
    ["GET", `${pods}?fieldSelector=metadata.name=a%2525`, { name: "" }],
    ["GET", `${pods}?fieldSelector=broken,metadata.name=a`, { name: "" }],
    ["GET", `${pods}?fieldSelector=metadata.name=a&limit=x`, { name: "" }],
    ["GET", `${pods}?fieldSelector=metadata.name=a&limit=500&timeoutSeconds=9`, { name: "a" }],
    ["GET", `${pods}?fieldSelector=metadata.name=a&labelSelector=((`, { name: "", labelSelector: "((" }],
    [
      "DELETE",
      `${pods}?fieldSelector=metadata.name=a`,
      { verb: "deletecollection", name: "", fieldSelector: "metadata.name=a" },
    ],
    ["GET", `${pods}/shell?fieldSelector=metadata.name=a`, { name: "shell", fieldSelector: "" }],
    ["GET", "/api/v1/watch/pods?fieldSelector=metadata.name=a", { name: "", fieldSelector: "" }],
  ])("%s %s", (method, url, expected) => {
    expect(infoOf(method, url)).toMatchObject(expected);
  });
});

describe("a path without a resource has the HTTP method as its verb", () => {
  test.each<Row>([
    ["GET", "/", { verb: "get", path: "/" }],
    ["POST", "/healthz", { verb: "post" }],
    ["GET", "/api", { verb: "get" }],
    ["GET", "/api/v1", { apiPrefix: "" }],
    ["GET", "/api/v1/", { apiPrefix: "" }],
    ["GET", "/apis/apps/v1", { apiPrefix: "apis", apiGroup: "" }],
    ["GET", "/API/v1/namespaces/demo/pods/x/exec", { apiPrefix: "" }],
    ["GET", "/metrics/slis/x", { verb: "get" }],
    ["GET", "/logs/api/v1/pods", { resource: "" }],
  ])("%s %s", (method, url, expected) => {
    expect(infoOf(method, url)).toMatchObject({ isResourceRequest: false, parts: [], ...expected });
  });
});

describe("a path that cannot be parsed is an error", () => {
  test.each([
    ["/api/v1/watch", "and no resource"],
    ["/apis/apps/v1/proxy/", "and no resource"],
    ["/api/v1/pods/%zz", "invalid percent-encoding"],
    ["/api/v1/pods/%ff", "not UTF-8"],
  ])("%s", (url, error) => {
    expect(parse("GET", url)).toEqual({ ok: false, error: expect.stringContaining(error) });
  });
});
