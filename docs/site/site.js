// Tables that sort by a click on a heading, and pictures to compare by a slider; pages work without either
const number = text => {
  const found = text.replace(/[,−]/g, sign => sign === '−' ? '-' : '').match(/^-?[\d.]+(?=([kMG]?))/);
  return found ? parseFloat(found[0]) * {k: 1e3, M: 1e6, G: 1e9, '': 1}[found[1]] : NaN;
};

function compare(a, b) {
  const [x, y] = [number(a), number(b)];
  if (isNaN(x) && isNaN(y)) return a.localeCompare(b);
  if (isNaN(x) || isNaN(y)) return isNaN(x) ? 1 : -1;
  return x - y;
}

// Rows stay in their section: the original's are not mixed with ours
function sort(table, column, descending) {
  for (const section of table.tBodies) {
    const text = row => row.cells[column].textContent.trim();
    const rows = [...section.rows].sort((a, b) => compare(text(a), text(b)));
    section.append(...(descending ? rows.reverse() : rows));
  }
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'sort by this column';
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener('click', () => {
      const descending = heading.getAttribute('aria-sort') === 'ascending';
      headings.forEach(other => other.removeAttribute('aria-sort'));
      heading.setAttribute('aria-sort', descending ? 'descending' : 'ascending');
      sort(table, column, descending);
    });
  });
}

document.documentElement.classList.add('scripted');
document.addEventListener('DOMContentLoaded', () => {
  document.querySelectorAll('table.sortable').forEach(makeSortable);
  document.querySelectorAll('.compare').forEach(pair => {
    const slider = pair.querySelector('input');
    slider.addEventListener('input', () => pair.style.setProperty('--cut', `${slider.value}%`));
  });
});
