// Search and filters of the tensors. Without it the page is a plain table of all of them.
"use strict";

const form = document.querySelector("#filters");
const count = document.querySelector("#count");
const tensors = Array.from(document.querySelectorAll("#tensors tbody tr"), (row) => ({
  row,
  kind: row.dataset.kind,
  text: row.textContent.toLowerCase(),
}));

function update() {
  const given = new FormData(form);
  const kinds = new Set(given.getAll("kind"));
  const words = given.get("q").toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { row, kind, text } of tensors) {
    const fits = kinds.has(kind) && words.every((word) => text.includes(word));
    row.hidden = !fits;
    shown += Number(fits);
  }
  const all = tensors.length.toLocaleString("en");
  count.textContent = shown === tensors.length ? `${all} tensors` : `${shown.toLocaleString("en")} of ${all} tensors`;
  document.querySelector("#none").hidden = shown > 0;
}

document.querySelector("#search").hidden = false;
for (const box of form.querySelectorAll("[type=checkbox]")) box.disabled = false;
form.addEventListener("input", update);
form.addEventListener("submit", (event) => event.preventDefault());
update();
