/** What failures and exceptions become: on the clusters' surface, and on the API's under `/-/`. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { err, ok } from "../../common/result.ts";
import { STATUS_CODES } from "../../kubernetes/status.ts";
import { DENIALS, type DenialCode, denial } from "../../worker/denials.ts";
import { answerFailures } from "../../worker/error-handler.ts";
import { type Failure, upstreamFailure } from "../../worker/failure.ts";
import type { RequestTrace } from "../../worker/request-audit/request-trace.ts";

const CODES = Object.keys(DENIALS) as DenialCode[];
const CLUSTER_URL = "https://sallyport.example.com/api/v1/pods";
const API_URL = "https://sallyport.example.com/-/admin/sessions";
const DISCOVERY = { Accept: "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json" };

let logged: Record<string, unknown>[];
beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((line: string) => void logged.push(JSON.parse(line)));
});
afterEach(() => void vi.restoreAllMocks());

async function answer(url: string, failure: Failure, headers: Record<string, string> = {}) {
  const trace: RequestTrace = { at: 0 };
  const response = await answerFailures(new Request(url, { headers }), trace, async () => err(failure));
  return { response, trace };
}

test("an answer passes untouched", async () => {
  const trace: RequestTrace = { at: 0 };
  const response = new Response("pods");
  expect(await answerFailures(new Request(CLUSTER_URL), trace, async () => ok(response))).toBe(response);
  expect(trace).toEqual({ at: 0 });
});

describe.each(CODES)("the denial %s", (code) => {
  const denied = denial(code, "what happened: what to do");

  test("is a metav1.Status for a cluster's client, and noted in the trace", async () => {
    const { response, trace } = await answer(CLUSTER_URL, denied);
    const status = STATUS_CODES[DENIALS[code]];
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      ...{ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure" },
      ...{ reason: DENIALS[code], code: status, message: "what happened: what to do" },
    });
    expect(trace.denial).toEqual(denied);
  });

  test("is plain text in API discovery, where kubectl shows nothing else", async () => {
    const { response } = await answer(CLUSTER_URL, denied, DISCOVERY);
    expect(response.status).toBe(STATUS_CODES[DENIALS[code]]);
    expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(await response.text()).toBe("what happened: what to do");
  });

  test("has an error code in the API under /-/", async () => {
    const { response } = await answer(API_URL, denied, DISCOVERY);
    expect(response.status).toBe(STATUS_CODES[DENIALS[code]]);
    expect(await response.json()).toMatchObject({
      ...{ kind: "Status", message: "what happened: what to do" },
      error: { code: expect.any(String), message: "what happened: what to do" },
    });
  });
});

describe("a request that was sent on and not answered", () => {
  test("is no denial, but has a reason", async () => {
    const { response, trace } = await answer(CLUSTER_URL, upstreamFailure("cluster_unreachable", "out of reach"));
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ kind: "Status", message: "out of reach" });
    expect(trace).toEqual({ at: 0, failure: "out of reach" });
  });

  test("is 499 if its client is gone", async () => {
    const { response, trace } = await answer(CLUSTER_URL, upstreamFailure("client_gone", "the client went away"));
    expect([response.status, await response.text()]).toEqual([499, ""]);
    expect(trace).toEqual({ at: 0, failure: "the client went away" });
  });
});

describe("an exception", () => {
  const fail = (url: string, thrown: unknown, headers: Record<string, string> = {}) => {
    const trace: RequestTrace = { at: 0 };
    return answerFailures(new Request(url, { headers }), trace, () => Promise.reject(thrown)).then((response) => ({
      response,
      trace,
    }));
  };

  test.each([CLUSTER_URL, API_URL])(
    "becomes a 500 with the ray id, and only the log has the stack: %s",
    async (url) => {
      const { response, trace } = await fail(url, new TypeError("a detail of the code"), { "CF-Ray": "abc-FRA" });
      expect(response.status).toBe(500);
      const body = await response.text();
      expect(body).toContain("ray abc-FRA");
      expect(body).not.toMatch(/a detail of the code|error-handler|TypeError/);
      expect(trace.denial?.code).toBe("internal");
      expect(logged).toEqual([
        {
          ...{ event: "internal_error", level: "error", ray: "abc-FRA", error: "TypeError: a detail of the code" },
          stack: expect.stringContaining("error-handler.test.ts"),
        },
      ]);
    },
  );

  test.each([["a string"], [undefined], [null]])("may be anything that is thrown: %j", async (thrown) => {
    const { response } = await fail(CLUSTER_URL, thrown);
    expect(response.status).toBe(500);
    expect(logged).toMatchObject([{ event: "internal_error", ray: "none" }]);
  });

  test("thrown before the first await is caught too", async () => {
    const trace: RequestTrace = { at: 0 };
    const response = await answerFailures(new Request(CLUSTER_URL), trace, () => {
      throw new Error("at once");
    });
    expect(response.status).toBe(500);
  });
});
