import { expect, it } from "vitest";
import { serveHealth } from "../../worker/health.ts";

const ask = (method: string, version?: string) =>
  serveHealth(new Request("https://prod.k8s.acme.test/-/healthz", { method }), version);

it("health says which version answers, where the deployment binds it", async () => {
  expect(await ask("GET", "6d2a7b3e").json()).toEqual({ status: "ok", version: "6d2a7b3e" });
  expect(await ask("GET").json()).toEqual({ status: "ok" });
  expect(ask("POST").status).toBe(405);
});
