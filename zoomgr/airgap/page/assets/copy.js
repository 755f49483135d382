// Fills in the address of the site, and copies lines.
"use strict";

/** An address as a shell takes it; commas separate mirrors, so that none may be in it. */
function quoted(address) {
  const text = address.replaceAll(",", "%2C");
  return /^[\w@%+=:./~-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Browsers give pages the clipboard over https only; elsewhere the older way does, or else the user's own keys. */
async function copy(line) {
  try {
    await navigator.clipboard.writeText(line.textContent);
    return "Copied";
  } catch {
    getSelection().selectAllChildren(line);
    return document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
  }
}

const root = new URL(document.body.dataset.root, location.href);
for (const site of document.querySelectorAll(".site")) site.textContent = quoted(root.href.replace(/\/$/, ""));

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const said = await copy(button.closest(".line").querySelector("code"));
    document.querySelector("#said").textContent = said;
    button.textContent = said;
    setTimeout(() => {
      document.querySelector("#said").textContent = "";
      button.textContent = "Copy";
    }, 2000);
  });
}
