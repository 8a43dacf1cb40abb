"""The diagram of the star and each table's part of it: complete, current, and in its place."""

import base64
import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from sparkify_dagster.catalogue.catalogue import STAR, Catalogue, read_catalogue
from sparkify_dagster.catalogue.dictionary import describe_table
from sparkify_dagster.catalogue.sql_files import SQL_FOLDER
from sparkify_dagster.catalogue.tables import Reference
from sparkify_dagster.defs.assets.describe import table_spec
from sparkify_dagster.present.charts import Picture
from sparkify_dagster.present.charts.relations import neighbourhood, star_diagram
from sparkify_dagster_tests.fixtures.warehouse import Platform, make_platform


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@dataclass(frozen=True)
class Box:
    """A box as it is drawn: its edges, and how high its title and each of its columns stand."""

    left: float
    right: float
    top: float
    bottom: float
    rows: dict[str, float]


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def boxes_of(picture: Picture) -> dict[str, Box]:
    """Every box by its title; a text lies in one of them."""
    root = ET.fromstring(picture.svg or "")
    found: list[Box] = []
    for element in root.iter():
        kind = element.tag.rpartition("}")[2]
        if kind == "rect":
            x, y = number(element, "x"), number(element, "y")
            size = number(element, "width"), number(element, "height")
            found.append(Box(x, x + size[0], y, y + size[1], {}))
        if kind == "text":
            box, x, y = found[-1], number(element, "x"), number(element, "y")
            assert box.left < x < box.right
            assert box.top < y < box.bottom
            if element.get("font-size") is None and element.get("text-anchor") is None:
                box.rows.setdefault(element.text or "", y - 4)
    for box in found:
        assert 0 < box.left < box.right < number(root, "width")
        assert 0 < box.top < box.bottom < number(root, "height")
    return {next(iter(box.rows)): box for box in found}


def lines_of(picture: Picture) -> set[str]:
    """Each line as `table.column > table.column`, or `>o` where there may be no parent."""
    boxes = boxes_of(picture)

    def at(x: str, y: str) -> str:
        ((table, column),) = (
            (name, row)
            for name, box in boxes.items()
            for row, height in box.rows.items()
            if float(x) in (box.left, box.right) and float(y) == height
        )
        return f"{table}.{column}"

    root = ET.fromstring(picture.svg or "")
    lines = [
        e.get("d", "") for e in root.iter() if e.tag.endswith("}path") and "C" in e.get("d", "")
    ]
    rings = len([e for e in root.iter() if e.tag.endswith("}circle")])
    reported, optional = set(), 0
    for line in lines:
        ((x, y, end_y, end_x),) = re.findall(r"^M([\d.]+) ([\d.]+)H.* ([\d.]+)H([\d.]+)M", line)
        may_be_none = line.count("v10") == 1
        optional += may_be_none
        reported.add(f"{at(x, y)} >{'o' * may_be_none} {at(end_x, end_y)}")
    assert len(reported) == len(lines)
    assert rings == len(lines) + optional
    return reported


def test_the_star_is_drawn_with_every_table_column_and_reference(catalogue: Catalogue) -> None:
    picture = star_diagram(catalogue)
    boxes = boxes_of(picture)
    assert set(boxes) == set(catalogue.tables_of(STAR))
    for name, box in boxes.items():
        columns = [column.name for column in catalogue.tables[name].columns]
        assert [row for row in box.rows if row in columns] == columns
    assert lines_of(picture) == {
        "songplays.start_time > time.start_time",
        "songplays.user_id > users.user_id",
        "songplays.song_id >o songs.song_id",
        "songplays.artist_id >o artists.artist_id",
        "songs.artist_id > artists.artist_id",
        "user_levels.user_id > users.user_id",
    }


def test_a_table_stands_between_those_that_refer_to_it_and_those_it_refers_to(
    catalogue: Catalogue,
) -> None:
    picture = neighbourhood(catalogue, "songs")
    assert picture is not None
    boxes = boxes_of(picture)
    assert list(boxes) == ["songplays", "songs", "artists"]
    assert boxes["songplays"].right < boxes["songs"].left
    assert boxes["songs"].right < boxes["artists"].left
    assert "and 3 more columns" in boxes["songs"].rows
    assert lines_of(picture) == {
        "songplays.song_id >o songs.song_id", "songs.artist_id > artists.artist_id",
    }  # fmt: skip


def test_every_reference_is_in_the_pictures_of_both_its_tables(catalogue: Catalogue) -> None:
    for name, table in catalogue.tables.items():
        refers = {reference.table for reference in table.references}
        referred = {
            other.name
            for other in catalogue.tables.values()
            if name in {reference.table for reference in other.references}
        }
        picture = neighbourhood(catalogue, name)
        if not refers | referred:
            assert picture is None, name
            continue
        assert picture is not None
        assert set(boxes_of(picture)) == refers | referred | {name}


def test_boxes_never_cover_each_other(catalogue: Catalogue) -> None:
    pictures = [star_diagram(catalogue)]
    pictures += [found for name in catalogue.tables if (found := neighbourhood(catalogue, name))]
    for picture in pictures:
        boxes = list(boxes_of(picture).values())
        for n, one in enumerate(boxes):
            for other in boxes[:n]:
                beside = one.left > other.right or other.left > one.right
                assert beside or one.top > other.bottom or other.top > one.bottom


def test_its_words_say_every_reference(catalogue: Catalogue) -> None:
    assert star_diagram(catalogue).words == (
        "Diagram of the keys and references: songplays refers to time by start_time, users by"
        " user_id, songs by song_id and artists by artist_id; songs refers to artists by artist_id;"
        " user_levels refers to users by user_id."
    )


def test_tables_may_refer_to_themselves_to_each_other_and_to_nothing(catalogue: Catalogue) -> None:
    songs, artists = catalogue.tables["songs"], catalogue.tables["artists"]
    own = Reference(("artist_id",), "artists", ("artist_id",))
    back = Reference(("artist_id",), "songs", ("artist_id",))
    tables = {
        "songs": songs,
        "artists": replace(artists, references=(own, back)),
        "time": catalogue.tables["time"],
    }
    transforms = {name: catalogue.transforms[name] for name in tables}
    tangled = replace(catalogue, tables=tables, transforms=transforms)
    for picture in (star_diagram(tangled), neighbourhood(tangled, "artists")):
        assert picture is not None
        assert len(lines_of(picture)) == 3
    assert set(boxes_of(star_diagram(tangled))) == set(tables)
    assert neighbourhood(tangled, "time") is None


def test_a_changed_table_file_changes_the_pictures(tmp_path: Path, catalogue: Catalogue) -> None:
    sql = Path(shutil.copytree(SQL_FOLDER, tmp_path / "sql"))
    file = sql / "tables" / "user_levels.sql"
    file.write_text(file.read_text().replace("is_current", "is_newest"))
    changed = read_catalogue(sql)
    assert "is_newest" in texts_of(star_diagram(changed))
    assert "is_newest" not in texts_of(star_diagram(catalogue))


def texts_of(picture: Picture) -> set[str]:
    return {text for box in boxes_of(picture).values() for text in box.rows}


@pytest.fixture
def here(tmp_path: Path) -> Platform:
    (tmp_path / "lake").mkdir()
    return make_platform(tmp_path, tmp_path / "lake", read_catalogue())


def test_the_ui_shows_a_table_among_its_neighbours_and_the_star_on_a_click(here: Platform) -> None:
    catalogue = here.catalogue
    for name in catalogue.transforms:
        spec = table_spec(here, name, deps=(), kinds=set(), partitions=None, code=shown)
        words, picture = describe_table(catalogue, name), neighbourhood(catalogue, name)
        assert spec.description == (f"{words}\n\n{picture.markdown}" if picture else words)
        star = spec.metadata.get("star_diagram")
        assert (star is not None) == (name in catalogue.tables_of(STAR))
        if star is not None:
            assert isinstance(star, dg.MarkdownMetadataValue)
            assert shown(star.value) == shown(star_diagram(catalogue).markdown)


def shown(markdown: str) -> str:
    """The SVG of an image in markdown, which stands on a light ground."""
    (image,) = re.findall(r"^!\[.*\]\(data:image/svg\+xml;base64,([\w+/=]+)\)$", markdown)
    svg = base64.b64decode(image).decode()
    ground = ET.fromstring(svg)[0]
    assert (ground.get("width"), ground.get("fill")) == ("100%", "#ffffff")
    return svg
