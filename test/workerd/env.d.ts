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
    /** See ../support/workerd-projects.ts. */
    interface Env {
      /** The edge as a whole: in its own project the main Worker, in the objects' a bundle beside it. */
      readonly EDGE: Fetcher;
      readonly TEST_MIGRATIONS: D1Migration[];
      readonly TEST_SIGNING_KEY: JWK;
      /** How many people work in test/workerd/seal-year.test.ts. */
      readonly TEST_YEAR_PEOPLE: number;
    }
  }
}
