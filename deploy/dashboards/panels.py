"""The kinds of panels, each with what every panel of its kind has. Only what Grafana 9.3 knows as well as 12."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.models import (
    bargauge,
    common,
    dashboard,
    heatmap,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import text as text_panel

from deploy.dashboards.queries import Query
from deploy.dashboards.scales import BLUE, NEUTRAL, Scale
from deploy.dashboards.variants import POSTGRES, PROMETHEUS, PostgresQuery, StateDrawing

_LAST = common.ReduceDataOptions(values=False, calcs=["lastNotNull"], fields="")


class About(NamedTuple):
    """What a panel tells who looks at it. `red`: when it is orange or red, or why it never is."""

    shows: str
    red: str
    do: str

    @property
    def text(self) -> str:
        return f"**Shows:** {self.shows}\n\n**Red:** {self.red}\n\n**Do:** {self.do}"


class Word(NamedTuple):
    """What to show instead of a value, and in which colour."""

    text: str
    color: str | None = None


class Unit(NamedTuple):
    """Of the values, by Grafana's names; `none`: what to show where there is no value."""

    name: str
    none: str = "no data"
    decimals: int | None = None
    low: float | None = None
    high: float | None = None


def tile(
    title: str, about: About, query: Query, unit: Unit, scale: Scale, words: Mapping[str, Word] | None = None
) -> dashboard.Panel:
    """One number in its colour. `words`: shown instead of some values."""
    colored = scale is not NEUTRAL
    options = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.BACKGROUND if colored else common.BigValueColorMode.VALUE,
        reduce_options=_LAST,
        text_mode=_text_mode(query),
    )
    config = _config(unit, scale, by_threshold=True)
    if words:
        config.mappings = [_words(words)]
    return _panel("stat", title, about, [query], options, config)


def bars(title: str, about: About, queries: Sequence[Query], unit: Unit, scale: Scale) -> dashboard.Panel:
    """A bar for each value of now."""
    options = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        value_mode=common.BarGaugeValueMode.TEXT,
        min_viz_height=16,
        reduce_options=_LAST,
        orientation=common.VizOrientation.HORIZONTAL,
    )
    return _panel("bargauge", title, about, queries, options, _config(unit, scale, by_threshold=True))


class LineStyle(NamedTuple):
    """How lines are drawn. `stacked`: on top of each other, filled; `draw_bars`: bars, for counts of a period.

    `colors`: of lines by their name, a regular expression; others are coloured by their place.
    """

    stacked: bool = False
    draw_bars: bool = False
    colors: dict[str, str] = {}  # noqa: RUF012  (a NamedTuple's default, never changed)


def lines(
    title: str,
    about: About,
    queries: Sequence[Query],
    unit: Unit,
    scale: Scale = NEUTRAL,
    line: LineStyle = LineStyle(),  # noqa: B008  (immutable)
) -> dashboard.Panel:
    """Lines over time, with a table of their last and greatest values; limits are drawn as areas."""
    legend = common.VizLegendOptions(
        display_mode=common.LegendDisplayMode.TABLE,
        placement=common.LegendPlacement.RIGHT,
        show_legend=True,
        calcs=["lastNotNull", "max"],
    )
    tooltip = common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING)
    config = _config(unit, scale, by_threshold=False)
    config.custom = _drawn(line, scale)
    overrides = [_override("byRegexp", f"/{name}/", "color", _fixed(color)) for name, color in line.colors.items()]
    panel = _panel("timeseries", title, about, queries, timeseries.Options(legend=legend, tooltip=tooltip), config)
    panel.field_config.overrides = overrides
    return panel


class TableColumn(NamedTuple):
    """A column of a table. `hidden` ones can still be named by links; `link`: where its cells lead."""

    name: str
    unit: str = "string"
    scale: Scale | None = None
    link: str = ""
    words: Mapping[str, Word] | None = None
    width: int | None = None


def grid(
    title: str,
    about: About,
    queries: Sequence[Query],
    columns: Sequence[TableColumn],
    none: str,
    transformations: Sequence[dashboard.DataTransformerConfig] = (),
    sort_by: tuple[str, bool] | None = None,
) -> dashboard.Panel:
    """A table. `sort_by`: a column, and whether the greatest comes first."""
    order = [common.TableSortByFieldState(sort_by[0], sort_by[1])] if sort_by else []
    options = table.Options(sort_by=order, footer=common.TableFooterOptions(), cell_height=common.TableCellHeight.SM)
    config = _config(Unit("string", none), NEUTRAL, by_threshold=True)
    config.custom = common.TableFieldOptions(align=common.FieldTextAlignment.AUTO)
    panel = _panel("table", title, about, queries, options, config)
    panel.transformations = list(transformations)
    panel.field_config.overrides = [_column(column) for column in columns]
    return panel


def history(title: str, about: About, query: Query, words: Mapping[str, Word], scale: Scale) -> dashboard.Panel:
    """States over time, a row for each name. `words`: what each value means."""
    legend = common.VizLegendOptions(show_legend=False)
    options = statetimeline.Options(
        show_value=common.VisibilityMode.NEVER, row_height=0.8, legend=legend, tooltip=common.VizTooltipOptions()
    )
    config = _config(Unit("none", "none: good"), scale, by_threshold=True)
    config.mappings = [_words(words)]
    config.custom = StateDrawing()
    return _panel("state-timeline", title, about, [query], options, config)


def heat(title: str, about: About, query: Query, unit: Unit) -> dashboard.Panel:
    """How many are in each band over time: a column for each band, from the lowest on."""
    color = heatmap.HeatmapColorOptions(
        mode=heatmap.HeatmapColorMode.SCHEME,
        scheme="Oranges",
        fill="dark-orange",
        scale=heatmap.HeatmapColorScale.EXPONENTIAL,
        exponent=0.5,
        steps=32,
    )
    options = heatmap.Options(
        color=color,
        show_value=common.VisibilityMode.NEVER,
        cell_values=heatmap.CellValues(unit=unit.name),
        y_axis=heatmap.YAxisConfig(axis_placement=common.AxisPlacement.LEFT, unit="string"),
        legend=heatmap.HeatmapLegend(show=True),
        tooltip=heatmap.HeatmapTooltip(show=True),
        rows_frame=heatmap.RowsHeatmapOptions(layout=common.HeatmapCellLayout.AUTO),
        exemplars=heatmap.ExemplarConfig(color="rgba(255,0,255,0.7)"),
        filter_values=heatmap.FilterValueRange(le=1e-9),
    )
    config = _config(unit, NEUTRAL, by_threshold=False)
    config.custom = heatmap.FieldConfig()
    return _panel("heatmap", title, about, [query], options, config)


def words(title: str, about: About, markdown: str) -> dashboard.Panel:
    """Text in Markdown."""
    options = text_panel.Options(mode=text_panel.TextMode.MARKDOWN, content=markdown)
    return _panel("text", title, about, [], options, _config(Unit("string", "none"), NEUTRAL, by_threshold=False))


def linked(panel: dashboard.Panel, title: str, url: str) -> dashboard.Panel:
    """The panel, whose title leads there as well."""
    panel.links = [*(panel.links or []), dashboard.DashboardLink(title=title, url=url)]
    return panel


def transformation(name: str, options: Mapping[str, object]) -> dashboard.DataTransformerConfig:
    """A step between queries and panel, by Grafana's name."""
    return dashboard.DataTransformerConfig(id_val=name, options=options)


def arranged(order: Sequence[str], renamed: dict[str, str]) -> list[dashboard.DataTransformerConfig]:
    """Rows of several queries joined by their labels: columns in this order under new names, all others left out."""
    shown: Mapping[str, object] = {"include": {"names": list(order)}}
    places = {name: place for place, name in enumerate(order)}
    return [
        transformation("merge", {}),
        transformation("filterFieldsByName", shown),
        transformation("organize", {"indexByName": places, "renameByName": renamed, "excludeByName": {}}),
    ]


def _panel(
    kind: str, title: str, about: About, queries: Sequence[Query], options: object, config: dashboard.FieldConfig
) -> dashboard.Panel:
    for letter, query in zip("ABCDEFGHIJ", queries, strict=False):
        query.ref_id = letter
    return dashboard.Panel(
        type_val=kind,
        title=title,
        description=about.text,
        targets=list(queries),
        datasource=_source(queries[0]) if queries else None,
        options=options,
        field_config=dashboard.FieldConfigSource(defaults=config, overrides=[]),
    )


def _source(query: Query) -> dashboard.DataSourceRef:
    return POSTGRES if isinstance(query, PostgresQuery) else PROMETHEUS


def _config(unit: Unit, scale: Scale, by_threshold: bool) -> dashboard.FieldConfig:
    colored = by_threshold and scale is not NEUTRAL
    mode = dashboard.FieldColorModeId.THRESHOLDS if colored else dashboard.FieldColorModeId.PALETTE_CLASSIC
    color = dashboard.FieldColor(mode=mode)
    return dashboard.FieldConfig(
        unit=unit.name,
        decimals=unit.decimals,
        min_val=unit.low,
        max_val=unit.high,
        no_value=unit.none,
        thresholds=scale.thresholds,
        color=_fixed(BLUE) if by_threshold and not colored else color,
        mappings=[],
    )


def _text_mode(query: Query) -> common.BigValueTextMode:
    named = not isinstance(query, PostgresQuery) and query.legend_format
    return common.BigValueTextMode.VALUE_AND_NAME if named else common.BigValueTextMode.VALUE


def _fixed(color: str) -> dashboard.FieldColor:
    return dashboard.FieldColor(mode=dashboard.FieldColorModeId.FIXED, fixed_color=color)


def _drawn(line: LineStyle, scale: Scale) -> common.GraphFieldConfig:
    limits = common.GraphTresholdsStyleMode.OFF if scale is NEUTRAL else common.GraphTresholdsStyleMode.LINE
    stacking = common.StackingMode.NORMAL if line.stacked else common.StackingMode.NONE
    return common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.BARS if line.draw_bars else common.GraphDrawStyle.LINE,
        line_interpolation=common.LineInterpolation.LINEAR,
        line_width=1 if line.stacked else 2,
        fill_opacity=60 if line.stacked or line.draw_bars else 0,
        show_points=common.VisibilityMode.NEVER,
        span_nulls=line.stacked,
        axis_soft_min=0,
        stacking=common.StackingConfig(stacking, "A"),
        thresholds_style=common.GraphThresholdsStyleConfig(limits),
    )


def _words(words: Mapping[str, Word]) -> dashboard.ValueMap:
    results = {value: dashboard.ValueMappingResult(text=word.text, color=word.color) for value, word in words.items()}
    return dashboard.ValueMap(options=results)


def _override(matcher: str, subject: str, name: str, value: object) -> dashboard.DashboardFieldConfigSourceOverrides:
    return dashboard.DashboardFieldConfigSourceOverrides(
        dashboard.MatcherConfig(matcher, subject), [dashboard.DynamicConfigValue(name, value)]
    )


def _column(column: TableColumn) -> dashboard.DashboardFieldConfigSourceOverrides:
    override = _override("byName", column.name, "unit", column.unit)
    settings: dict[str, object] = {}
    if column.scale or any(word.color for word in (column.words or {}).values()):
        settings["thresholds"] = (column.scale or NEUTRAL).thresholds
        settings["color"] = dashboard.FieldColor(mode=dashboard.FieldColorModeId.THRESHOLDS)
        # The name of cells with a coloured background in Grafana 9.3; since 10 it is read as such, too.
        settings["custom.displayMode"] = "color-background-solid"
    if column.link:
        settings["links"] = [dashboard.DashboardLink(title=f"Open {column.name}", url=column.link, target_blank=True)]
    if column.words:
        settings["mappings"] = [_words(column.words)]
    if column.width:
        settings["custom.width"] = column.width
    override.properties += [dashboard.DynamicConfigValue(name, value) for name, value in settings.items()]
    return override
