import type { D1Migration } from "@cloudflare/vitest-plugin/config";
import type { JWK } from "jose";

declare global {
  namespace Cloudflare {
    interface Env {
      readonly TEST_MIGRATIONS: D1Migration[];
      readonly TEST_SIGNING_KEY: JWK;
    }
    interface GlobalProps {
      mainModule: typeof import("../../worker/index.ts");
    }
  }
}
