const READ_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);

/** Whether a method only reads, by Kubernetes' rules. Methods are compared with regard to case. */
export function isReadMethod(method: string): boolean {
  return READ_METHODS.has(method);
}
