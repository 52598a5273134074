package rehearsal.spark;

import java.util.Map;
import java.util.Set;

import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.catalyst.analysis.NamespaceAlreadyExistsException;
import org.apache.spark.sql.catalyst.analysis.NoSuchNamespaceException;
import org.apache.spark.sql.catalyst.analysis.NoSuchTableException;
import org.apache.spark.sql.catalyst.analysis.NonEmptyNamespaceException;
import org.apache.spark.sql.catalyst.analysis.TableAlreadyExistsException;
import org.apache.spark.sql.connector.catalog.Column;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.NamespaceChange;
import org.apache.spark.sql.connector.catalog.StagedTable;
import org.apache.spark.sql.connector.catalog.StagingTableCatalog;
import org.apache.spark.sql.connector.catalog.SupportsNamespaces;
import org.apache.spark.sql.connector.catalog.Table;
import org.apache.spark.sql.connector.catalog.TableCatalog;
import org.apache.spark.sql.connector.catalog.TableCatalogCapability;
import org.apache.spark.sql.connector.catalog.TableChange;
import org.apache.spark.sql.connector.expressions.Transform;
import org.apache.spark.sql.delta.catalog.DeltaCatalog;
import org.apache.spark.sql.execution.datasources.v2.V2SessionCatalog;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/**
 * A catalog of Delta tables that is a folder: SCHEMA/TABLE below it, found again by every process.
 *
 * <p>It gives Delta's own catalog the table's path instead of its name. Delta serves tables by path completely, without
 * a metastore, so creation, replacement and all commands on tables are Delta's code.
 */
public final class FolderCatalog implements StagingTableCatalog, SupportsNamespaces {
  private static final String[] BY_PATH = {"delta"};

  private String name;
  private Path folder;
  private DeltaCatalog delta;

  @Override
  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name;
    this.folder = new Path(options.get("folder"));
    this.delta = new DeltaCatalog();
    // It asks which class it delegates to, though for tables by path it never does.
    this.delta.setDelegateCatalog(new V2SessionCatalog(delta.spark().sessionState().catalog()));
  }

  @Override
  public String name() {
    return name;
  }

  @Override
  public String[] defaultNamespace() {
    return new String[] {"default"};
  }

  @Override
  public Set<TableCatalogCapability> capabilities() {
    return Set.of(
        TableCatalogCapability.SUPPORT_COLUMN_DEFAULT_VALUE,
        TableCatalogCapability.SUPPORTS_CREATE_TABLE_WITH_GENERATED_COLUMNS);
  }

  // Schemas

  @Override
  public String[][] listNamespaces() {
    return Files.folders(files(), folder).stream()
        .map(schema -> new String[] {schema.getName()})
        .toArray(String[][]::new);
  }

  @Override
  public String[][] listNamespaces(String[] namespace) throws NoSuchNamespaceException {
    if (namespace.length == 0) {
      return listNamespaces();
    }
    requireSchema(namespace);
    return new String[0][];
  }

  @Override
  public boolean namespaceExists(String[] namespace) {
    return namespace.length == 1 && Files.isName(namespace[0]) && Files.isFolder(files(), schema(namespace));
  }

  @Override
  public Map<String, String> loadNamespaceMetadata(String[] namespace) throws NoSuchNamespaceException {
    requireSchema(namespace);
    return Map.of(SupportsNamespaces.PROP_LOCATION, schema(namespace).toString());
  }

  @Override
  public void createNamespace(String[] namespace, Map<String, String> metadata) throws NamespaceAlreadyExistsException {
    if (namespace.length != 1) {
      throw new UnsupportedOperationException("a name has three levels: catalog.schema.table");
    }
    if (namespaceExists(namespace)) {
      throw new NamespaceAlreadyExistsException(namespace);
    }
    Files.create(files(), schema(namespace));
  }

  @Override
  public void alterNamespace(String[] namespace, NamespaceChange... changes) {
    throw new UnsupportedOperationException("ALTER SCHEMA is not supported by the rehearsal");
  }

  @Override
  public boolean dropNamespace(String[] namespace, boolean cascade)
      throws NoSuchNamespaceException, NonEmptyNamespaceException {
    requireSchema(namespace);
    if (!cascade && listTables(namespace).length > 0) {
      throw new NonEmptyNamespaceException(qualified(namespace));
    }
    return Files.remove(files(), schema(namespace));
  }

  // Tables

  @Override
  public Identifier[] listTables(String[] namespace) throws NoSuchNamespaceException {
    requireSchema(namespace);
    return Files.folders(files(), schema(namespace)).stream()
        .filter(table -> Files.isFolder(files(), new Path(table, "_delta_log")))
        .map(table -> Identifier.of(namespace, table.getName()))
        .toArray(Identifier[]::new);
  }

  @Override
  public boolean tableExists(Identifier ident) {
    if (isPath(ident)) {
      return delta.tableExists(ident);
    }
    // Not every name that Spark asks for is one: csv.`/a/path` is looked for as a table first.
    return ident.namespace().length == 1
        && Files.isName(ident.namespace()[0])
        && Files.isName(ident.name())
        && Files.isFolder(files(), new Path(table(ident), "_delta_log"));
  }

  @Override
  public Table loadTable(Identifier ident) throws NoSuchTableException {
    requireTable(ident);
    return delta.loadTable(byPath(ident));
  }

  @Override
  public Table loadTable(Identifier ident, String version) throws NoSuchTableException {
    requireTable(ident);
    return delta.loadTable(byPath(ident), version);
  }

  @Override
  public Table loadTable(Identifier ident, long timestamp) throws NoSuchTableException {
    requireTable(ident);
    return delta.loadTable(byPath(ident), timestamp);
  }

  @Override
  public Table createTable(Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException, TableAlreadyExistsException {
    requireNew(ident, properties);
    return delta.createTable(byPath(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageCreate(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException, TableAlreadyExistsException {
    requireNew(ident, properties);
    return delta.stageCreate(byPath(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException, NoSuchTableException {
    requireDelta(ident, properties);
    requireTable(ident);
    return delta.stageReplace(byPath(ident), columns, partitions, properties);
  }

  @Override
  public StagedTable stageCreateOrReplace(
      Identifier ident, Column[] columns, Transform[] partitions, Map<String, String> properties)
      throws NoSuchNamespaceException {
    requireDelta(ident, properties);
    // Of a table by path that is there, Delta's "create or replace" compares the columns instead of replacing them.
    if (tableExists(ident)) {
      try {
        return delta.stageReplace(byPath(ident), columns, partitions, properties);
      } catch (NoSuchTableException error) {
        // Dropped meanwhile.
      }
    }
    return delta.stageCreateOrReplace(byPath(ident), columns, partitions, properties);
  }

  @Override
  public Table alterTable(Identifier ident, TableChange... changes) throws NoSuchTableException {
    requireTable(ident);
    return delta.alterTable(byPath(ident), changes);
  }

  @Override
  public boolean dropTable(Identifier ident) {
    return tableExists(ident) && !isPath(ident) && Files.remove(files(), table(ident));
  }

  @Override
  public void renameTable(Identifier from, Identifier to) throws NoSuchTableException, TableAlreadyExistsException {
    requireTable(from);
    if (tableExists(to)) {
      throw new TableAlreadyExistsException(to);
    }
    Files.move(files(), table(from), table(to));
  }

  // Names and folders

  private void requireSchema(String[] namespace) throws NoSuchNamespaceException {
    if (!namespaceExists(namespace)) {
      throw new NoSuchNamespaceException(qualified(namespace));
    }
  }

  private void requireTable(Identifier ident) throws NoSuchTableException {
    if (!isPath(ident) && !tableExists(ident)) {
      throw new NoSuchTableException(ident);
    }
  }

  private void requireNew(Identifier ident, Map<String, String> properties)
      throws NoSuchNamespaceException, TableAlreadyExistsException {
    requireDelta(ident, properties);
    if (!isPath(ident) && tableExists(ident)) {
      throw new TableAlreadyExistsException(ident);
    }
  }

  private void requireDelta(Identifier ident, Map<String, String> properties) throws NoSuchNamespaceException {
    if (!isPath(ident)) {
      requireSchema(ident.namespace());
    }
    String provider = properties.getOrDefault(TableCatalog.PROP_PROVIDER, "delta");
    if (!provider.equalsIgnoreCase("delta")) {
      throw new UnsupportedOperationException(
          "the rehearsal's catalogs hold Delta tables only; " + ident + " is to be of the format " + provider);
    }
    if (!isPath(ident) && properties.containsKey(TableCatalog.PROP_LOCATION)
        && !"true".equals(properties.get(TableCatalog.PROP_IS_MANAGED_LOCATION))) {
      throw new UnsupportedOperationException(
          "the rehearsal's catalogs hold managed tables only; " + ident + " is to have a location of its own");
    }
  }

  private String[] qualified(String[] namespace) {
    String[] all = new String[namespace.length + 1];
    all[0] = name;
    System.arraycopy(namespace, 0, all, 1, namespace.length);
    return all;
  }

  private boolean isPath(Identifier ident) {
    return delta.isPathIdentifier(ident);
  }

  private Identifier byPath(Identifier ident) {
    return isPath(ident) ? ident : Identifier.of(BY_PATH, table(ident).toString());
  }

  private Path table(Identifier ident) {
    return new Path(schema(ident.namespace()), Files.name(ident.name()));
  }

  private Path schema(String[] namespace) {
    return new Path(folder, Files.name(String.join(".", namespace)));
  }

  private FileSystem files() {
    return Files.of(folder, delta.spark().sessionState().newHadoopConf());
  }
}
