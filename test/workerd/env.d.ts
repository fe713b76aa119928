import type { D1Migration } from "@cloudflare/vitest-plugin/config";
import type { JWK } from "jose";

declare module "vitest" {
  interface ProvidedContext {
    /** See ../support/raw-headers-server.ts. */
    rawHeadersPort: number;
  }
}

declare global {
  /** Of Vite, which these tests are served by. */
  interface ImportMeta {
    glob<T>(pattern: string, options: { query: "?raw"; import: "default"; eager: true }): Record<string, T>;
  }
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
