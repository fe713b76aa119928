/** What `npm run console:build` makes: see console/build.ts. */
declare module "@sallyport/console-files" {
  /** The text of each file, by its name: `index.html`, and files of `assets/`. */
  const files: Readonly<Record<string, string>>;
  export default files;
}
