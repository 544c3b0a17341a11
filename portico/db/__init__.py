"""Where rows live: schema, engines, migrations."""
