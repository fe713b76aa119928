/** The manifest for krew, kubectl's plugin manager. */
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { archiveName, executableName, isArchive, krewManifest } from "../../../cli/krew.ts";

const release = {
  version: "1.2.3",
  url: "https://downloads.example.com/v1.2.3",
  archives: [
    { file: "kubectl-sallyport-darwin-arm64.zip", sha256: "a".repeat(64) },
    { file: "kubectl-sallyport-windows-amd64.zip", sha256: "b".repeat(64) },
  ],
};

describe("krew's manifest", () => {
  it("has each archive with its address, checksum and program", () => {
    const manifest = krewManifest(release);
    expect(manifest.ok && parse(manifest.value)).toMatchObject({
      apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
      kind: "Plugin",
      // kubectl-sallyport is what krew makes of this name.
      metadata: { name: "sallyport" },
      spec: {
        version: "v1.2.3",
        // krew refuses more than 50 characters, or a full stop.
        shortDescription: expect.stringMatching(/^[^.]{1,50}$/),
        platforms: [
          {
            selector: { matchLabels: { os: "darwin", arch: "arm64" } },
            uri: "https://downloads.example.com/v1.2.3/kubectl-sallyport-darwin-arm64.zip",
            sha256: "a".repeat(64),
            bin: "kubectl-sallyport",
          },
          { selector: { matchLabels: { os: "windows", arch: "amd64" } }, bin: "kubectl-sallyport.exe" },
        ],
      },
    });
  });

  it.each([
    ["no archive", { archives: [] }, "no archive"],
    ["an address without TLS", { url: "http://downloads.example.com" }, "https"],
    ["an address that is none", { url: "downloads" }, "https"],
  ])("cannot be made with %s", (_, change, message) => {
    expect(krewManifest({ ...release, ...change })).toEqual({ ok: false, error: expect.stringContaining(message) });
  });

  it("names systems as Go does", () => {
    expect(archiveName("linux", "x64")).toBe("kubectl-sallyport-linux-amd64.zip");
    expect(archiveName("win32", "arm64")).toBe("kubectl-sallyport-windows-arm64.zip");
    expect(archiveName("sunos", "x64")).toBeUndefined();
    expect(executableName("kubectl-sallyport-linux-amd64.zip")).toBe("kubectl-sallyport");
    expect(isArchive("kubectl-sallyport")).toBe(false);
  });
});
