import { describe, expect, it } from "vitest";
import { as, directlyAs, someone } from "./people.ts";

const PAGE = "/api/v1/namespaces/demo/pods/evil/proxy/";

describe("a workload's answer through the proxy subresource", () => {
  it("is sandboxed: a browser gives it an opaque origin", async () => {
    for (const path of [PAGE, "/api/v1/namespaces/demo/services/http:evil:80/proxy/index.html"]) {
      const response = await as(someone(), path);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-security-policy")).toBe("sandbox");
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("cannot be requested by a page of another site, not even with GET, because the workload may act on it", async () => {
    const response = await as(someone(), PAGE, { headers: { "Sec-Fetch-Site": "cross-site" } });
    expect(response.status).toBe(403);
  });

  it.each([
    ["NEL", '{"report_to":"evil","max_age":31536000,"success_fraction":1}'],
    ["Report-To", '{"group":"evil","max_age":31536000,"endpoints":[{"url":"https://evil.example"}]}'],
    ["Reporting-Endpoints", 'default="https://evil.example"'],
    ["Clear-Site-Data", '"*"'],
    ["Strict-Transport-Security", "max-age=0"],
    ["Alt-Svc", 'h3="evil.example:443"'],
    ["Access-Control-Allow-Origin", "https://evil.example"],
    ["Access-Control-Allow-Credentials", "true"],
    ["Set-Cookie", "CF_Authorization=x"],
  ])("cannot affect this origin: %s", async (name, value) => {
    const workload = { fetch: async () => new Response("hello", { headers: { [name]: value, "X-Own": "kept" } }) };
    const response = await directlyAs(someone(), PAGE, {}, { bindings: { KUBE_API: workload } });
    expect(await response.text()).toBe("hello");
    expect([response.headers.get("X-Own"), response.headers.get(name)]).toEqual(["kept", null]);
  });

  it("is sandboxed, the API server's own answers are not", async () => {
    const response = await as(someone(), "/api/v1/namespaces/demo/pods");
    expect(response.headers.get("content-security-policy")).toBeNull();
  });
});

describe("an Access identity with an address that is not plain ASCII", () => {
  it.each([
    ["a letter whose lower case is another person's", "\u212Aim@example.com"],
    ["no @", "example.com"],
    ["two @", "a@b@example.com"],
    ["a reserved name", "system:masters@example.com"],
    ["a control character", "a\u001b[2J@example.com"],
  ])("is refused: %s", async (_, email) => {
    const response = await as({ ...someone(), email }, "/api/v1/pods");
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      reason: "Forbidden",
      message: expect.stringContaining("not a plain"),
    });
  });
});
