import { expect } from "vitest";
import type { TestStack } from "./people.ts";

/** Watches a live session as an administrator, as lines that nobody looks at. @returns leaves */
export async function watchLines({ stack }: TestStack, id: string): Promise<() => void> {
  const leaving = new AbortController();
  const { url } = stack.personas.admin;
  const response = await fetch(`${url}/-/admin/sessions/${id}/watch`, { signal: leaving.signal });
  expect(response.status).toBe(200);
  void response.text().catch(() => {});
  return () => leaving.abort();
}
