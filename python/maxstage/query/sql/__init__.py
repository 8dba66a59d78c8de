"""SQL over what is staged, files and sources, by DuckDB: the extra ``maxstage[sql]``.

`columns` chooses the type of each column, `tables` makes tables of what a query names, `database` runs it, locked down.
"""
