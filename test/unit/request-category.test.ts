import { describe, expect, test } from "vitest";
import { parseRequestInfo } from "../../kubernetes/request-info.ts";
import { loadConfig } from "../../worker/config/load.ts";
import type { ConfigInput } from "../../worker/config/schema.ts";
import { categorize, isAuditedAdminRequest } from "../../worker/request-audit/category.ts";

type Requests = NonNullable<NonNullable<ConfigInput["audit"]>["requests"]>;

const OFF = {
  precursors: { record: false },
  secretReads: { record: false },
  mutations: { record: false },
} satisfies Requests;

/** The category of Alice's allowed request `METHOD PATH`. */
function category(request: string, requests: Requests = {}, status: number | null = 200) {
  const config = loadConfig({
    access: { teamDomain: "https://team.cloudflareaccess.com", audiences: ["aud"] },
    cluster: "prod",
    identities: [{ match: { email: "alice@example.com" } }],
    audit: { requests },
  });
  const [method = "", path = ""] = request.split(" ");
  const info = parseRequestInfo(method, new URL(path, "http://localhost"));
  if (!info.ok) throw new Error(info.error);
  const identity = { name: "alice@example.com", groups: ["developers"] };
  const query = { identity, cluster: "prod", info: info.value, session: undefined };
  return categorize({ method, query, status }, config.audit.requests);
}

const NS = "/api/v1/namespaces/demo";

describe("a request that only reads is not recorded", () => {
  test.each([
    `GET ${NS}/pods`,
    `GET ${NS}/pods?watch=true`,
    `GET /api/v1/watch/namespaces/demo/pods`,
    `HEAD ${NS}/configmaps/settings`,
    `GET ${NS}/pods/web/log`,
    `GET ${NS}/pods/web/ephemeralcontainers`,
    `GET ${NS}/serviceaccounts/default`,
    `GET ${NS}/configmaps/secrets`,
    `GET /api/v1/namespaces/secrets/pods`,
    `GET /secrets`,
    `OPTIONS ${NS}/secrets`,
    "GET /apis",
    "GET /version",
  ])("%s", (request) => {
    expect(category(request)).toBe("none");
  });
});

describe("requests that issue, review or return credentials are recorded, whatever the configuration says", () => {
  const everything = [{ resources: ["*"] }, { verbs: ["*"] }, { users: ["*"] }];
  test.each([
    `POST ${NS}/serviceaccounts/default/token`,
    `POST /api/v1/watch/namespaces/demo/serviceaccounts/default/token`,
    `GET ${NS}/serviceaccounts/default/token`,
    "POST /apis/certificates.k8s.io/v1/certificatesigningrequests",
    "PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/mine/approval",
    "PATCH /apis/certificates.k8s.io/v1beta1/certificatesigningrequests/mine/status",
    "GET /apis/certificates.k8s.io/v1/certificatesigningrequests/mine",
    "GET /apis/certificates.k8s.io/v1/watch/certificatesigningrequests",
    "DELETE /apis/certificates.k8s.io/v1/certificatesigningrequests",
    "POST /apis/authentication.k8s.io/v1/tokenreviews",
    "POST /apis/authentication.k8s.io/v1/selfsubjectreviews",
    "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "POST /apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
    "POST /apis/authorization.k8s.io/v1/subjectaccessreviews",
    "POST /apis/authorization.k8s.io/v1/namespaces/demo/localsubjectaccessreviews",
  ])("%s", (request) => {
    expect(category(request)).toBe("token");
    expect(category(request, OFF)).toBe("token");
    expect(category(request, { mutations: { except: everything }, precursors: { except: everything } })).toBe("token");
  });

  test("but not a resource of the same name in another API group", () => {
    const request = "POST /apis/example.com/v1/namespaces/demo/serviceaccounts/default/token";
    expect(category(request)).toBe("mutation");
  });
});

describe("a request that may run a command without a session, or prepares one, is a precursor", () => {
  test.each([
    `POST ${NS}/pods`,
    "POST /api/v1/pods",
    // Under the watch prefix its verb is `watch`.
    "POST /api/v1/watch/namespaces/demo/pods",
    "PATCH /api/v1/watch/namespaces/demo/pods/web/ephemeralcontainers",
    `PATCH ${NS}/pods/web/ephemeralcontainers`,
    `PUT ${NS}/pods/web/ephemeralcontainers`,
    // A server-side apply creates the pod.
    `PATCH ${NS}/pods/web?fieldManager=kubectl`,
    `PUT ${NS}/pods/web`,
    `POST ${NS}/pods/web/binding`,
    `POST ${NS}/bindings`,
    `POST ${NS}/%70ods`,
    `PATCH ${NS}/pods/web/resize`,
    ...["deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions"].flatMap((resource) => [
      `POST /apis/apps/v1/namespaces/demo/${resource}`,
      `PUT /apis/apps/v1/namespaces/demo/${resource}/web`,
      `PATCH /apis/apps/v1/namespaces/demo/${resource}/web`,
    ]),
    "POST /apis/batch/v1/namespaces/demo/jobs",
    "PATCH /apis/batch/v1/namespaces/demo/cronjobs/nightly",
    `POST ${NS}/replicationcontrollers`,
    `PATCH ${NS}/podtemplates/web`,
    "POST /apis/kubevirt.io/v1/namespaces/demo/virtualmachines",
    "POST /apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "PUT /apis/rbac.authorization.k8s.io/v1/namespaces/demo/rolebindings/mine",
    "PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/view",
    "POST /apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "DELETE /apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/guard",
    "DELETE /apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "PATCH /apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io",
    "PATCH /apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com",
  ])("%s, also with mutations off", (request) => {
    expect(category(request)).toBe("precursor");
    expect(category(request, { mutations: { record: false } })).toBe("precursor");
  });

  const PROXIES = [
    "/api/v1/nodes/n1/proxy/pods",
    "/api/v1/nodes/n1/proxy/run/demo/web/web",
    `${NS}/pods/shell:9999/proxy/cgi-bin/f`,
    `${NS}/services/web/proxy/`,
    "/apis/cluster.karmada.io/v1alpha1/clusters/m1/proxy/api/v1/namespaces/demo/secrets",
    "/apis/example.com/v1/namespaces/demo/anything/x/proxy",
    "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/vnc/screenshot",
    "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/sev/fetchcertchain",
    "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm/guestosinfo",
    "/apis/subresources.kubevirt.io/v1/namespaces/demo/virtualmachines/vm/addvolume",
    "/apis/subresources.kubevirt.io/v1/start-cluster-profiler",
  ];
  test.each(PROXIES)("%s, whatever the method and whoever answers 403", (path) => {
    for (const method of ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]) {
      for (const status of [200, null]) expect(category(`${method} ${path}`, {}, status)).toBe("precursor");
      const answeredByWorkload = /\/proxy(\/|$)/.test(path) ? "precursor" : "denied";
      expect(category(`${method} ${path}`, {}, 403)).toBe(answeredByWorkload);
    }
    expect(category(`GET ${path}`, { precursors: { record: false } }, 403)).toBe("denied");
  });

  test.each([
    `GET ${NS}/pods/proxy`,
    `GET ${NS}/configmaps/proxy/status`,
    "GET /apis/apps/v1/namespaces/demo/deployments/web",
    "GET /apis/rbac.authorization.k8s.io/v1/clusterroles",
    "GET /apis/subresources.kubevirt.io/v1/version",
    "GET /apis/subresources.kubevirt.io/v1/healthz",
    "GET /apis/subresources.kubevirt.io/v1",
    "GET /apis/kubevirt.io/v1/namespaces/demo/virtualmachineinstances/vm",
  ])("but %s only reads", (request) => {
    expect(category(request)).toBe("none");
  });

  test.each([
    `DELETE ${NS}/pods/web`,
    `DELETE ${NS}/pods`,
    `POST ${NS}/pods/web/eviction`,
    `PATCH ${NS}/pods/web/status`,
    "DELETE /apis/apps/v1/namespaces/demo/deployments/web",
    "PATCH /apis/apps/v1/namespaces/demo/deployments/web/scale",
    "PATCH /apis/apps/v1/namespaces/demo/deployments/web/status",
    "DELETE /apis/rbac.authorization.k8s.io/v1/clusterrolebindings/x",
    "POST /apis/example.com/v1/namespaces/demo/deployments",
    "POST /apis/metrics.k8s.io/v1/namespaces/demo/pods",
  ])("but %s is a mutation", (request) => {
    expect(category(request)).toBe("mutation");
  });

  test("is still a mutation if precursors are off", () => {
    const request = `PATCH ${NS}/pods/web/ephemeralcontainers`;
    expect(category(request, { precursors: { record: false } })).toBe("mutation");
    expect(category(request, OFF)).toBe("none");
  });
});

describe("the reading of a secret is recorded", () => {
  test.each([
    `GET ${NS}/secrets/demo`,
    `HEAD ${NS}/secrets/demo`,
    `GET ${NS}/secrets`,
    "GET /api/v1/secrets",
    `GET ${NS}/secrets?watch=1`,
    "GET /api/v1/watch/secrets",
    "GET /api/v1/watch/namespaces/demo/secrets/demo",
    `GET ${NS}/secrets?fieldSelector=metadata.name=demo`,
    `GET ${NS}/secrets/demo/status`,
    `GET ${NS}/%73ecrets/demo`,
    "GET /apis/aggregated.example.com/v1/namespaces/demo/secrets/demo",
    "GET /apis/aggregated.example.com/v1/namespaces/demo/secrets/demo/data",
  ])("%s", (request) => {
    expect(category(request)).toBe("secret-read");
    expect(category(request, OFF)).toBe("none");
  });

  test("also as the answer to a write that is excepted from mutations", () => {
    const request = `PATCH ${NS}/secrets/demo?dryRun=All`;
    expect(category(request)).toBe("mutation");
    expect(category(request, { mutations: { except: [{ resources: ["secrets"] }] } })).toBe("secret-read");
  });

  test("for the resources that the configuration calls secrets", () => {
    const secretReads = { resources: ["sealedsecrets.bitnami.com", "configmaps"] };
    expect(category("GET /apis/bitnami.com/v1alpha1/namespaces/demo/sealedsecrets/x", { secretReads })).toBe(
      "secret-read",
    );
    expect(category(`GET ${NS}/configmaps/x`, { secretReads })).toBe("secret-read");
    expect(category(`GET ${NS}/secrets/x`, { secretReads })).toBe("none");
    expect(category("GET /version", { secretReads: { resources: ["*"] } })).toBe("none");
  });
});

describe("any other request that may change something is a mutation", () => {
  test.each([
    `POST ${NS}/configmaps`,
    `PUT ${NS}/configmaps/x`,
    `PATCH ${NS}/configmaps/x`,
    `DELETE ${NS}/configmaps/x`,
    `DELETE ${NS}/configmaps`,
    "POST /api/v1/watch/namespaces/demo/configmaps",
    "DELETE /api/v1/watch/namespaces/demo/configmaps/x",
    `POST ${NS}/secrets`,
    "POST /version",
    "POST /",
  ])("%s", (request) => {
    expect(category(request)).toBe("mutation");
    expect(category(request, OFF)).toBe("none");
  });

  test("what controllers write all day too: the object counts what is repeated", () => {
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    for (const path of [leases, `${NS}/events`, "/apis/events.k8s.io/v1/namespaces/demo/events"]) {
      for (const request of [
        `POST ${path}`,
        `PUT ${path}/x`,
        `PATCH ${path}/x`,
        `DELETE ${path}/x`,
        `DELETE ${path}`,
      ]) {
        expect(category(request)).toBe("mutation");
      }
    }
  });

  test("of no resource that the document leaves out, and of its namesakes", () => {
    const except = [{ resources: ["leases.coordination.k8s.io"], verbs: ["update", "patch"] }];
    const asked = (request: string) => category(request, { mutations: { except } });
    const leases = "/apis/coordination.k8s.io/v1/namespaces/demo/leases";
    expect(asked(`PATCH ${leases}/x`)).toBe("none");
    expect(asked(`DELETE ${leases}/x`)).toBe("mutation");
    expect(asked("PATCH /apis/example.com/v1/namespaces/demo/leases/x")).toBe("mutation");
    expect(asked(`PATCH ${leases}/x/status`)).toBe("mutation");
  });

  test("an exception applies if everything that it names holds", () => {
    const mutations = { except: [{ resources: ["configmaps"], namespaces: ["ci-*"], users: ["service:*"] }] };
    expect(category("POST /api/v1/namespaces/ci-1/configmaps", { mutations })).toBe("mutation");
    mutations.except[0]?.users.push("alice@*");
    expect(category("POST /api/v1/namespaces/ci-1/configmaps", { mutations })).toBe("none");
    expect(category(`POST ${NS}/configmaps`, { mutations })).toBe("mutation");
    expect(category("POST /api/v1/namespaces/ci-1/configmaps/x/y", { mutations })).toBe("mutation");
    expect(category("POST /api/v1/namespaces/ci-1/pods", { mutations })).toBe("precursor");
  });
});

describe("what the cluster answers with 403 is denied, whatever the request and the configuration", () => {
  test.each([`GET ${NS}/pods`, `POST ${NS}/pods`, `GET ${NS}/secrets`, `POST ${NS}/serviceaccounts/default/token`])(
    "%s",
    (request) => {
      expect(category(request, OFF, 403)).toBe("denied");
    },
  );

  test("other statuses are not", () => {
    for (const status of [200, 101, 201, 400, 401, 404, 409, 500, null]) {
      expect(category(`GET ${NS}/pods`, {}, status)).toBe("none");
      expect(category(`POST ${NS}/configmaps`, {}, status)).toBe("mutation");
    }
  });
});

test.each([
  ["DELETE", "/-/admin/sessions/x", true],
  ["PUT", "/-/admin/locks/a@example.com", true],
  ["DELETE", "/-/admin/locks/a@example.com", true],
  ["GET", "/-/admin/sessions/x/recording", true],
  ["GET", "/-/admin/sessions", false],
  ["GET", "/-/admin/requests", false],
  ["POST", "/-/reason", false],
  ["GET", "/-/whoami", false],
])("commands of administrators and the reading of recordings are audited: %s %s: %s", (method, path, is) => {
  expect(isAuditedAdminRequest(method, path)).toBe(is);
});
