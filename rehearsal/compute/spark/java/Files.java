package rehearsal.spark;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** What a catalog does with folders, without the checked exceptions that Spark's interfaces don't allow. */
final class Files {
  private static final Pattern NOT_IN_NAMES = Pattern.compile("[/\\p{Cntrl} .]");

  private Files() {}

  static FileSystem of(Path path, Configuration configuration) {
    try {
      return path.getFileSystem(configuration);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static boolean isFolder(FileSystem files, Path path) {
    try {
      return files.getFileStatus(path).isDirectory();
    } catch (FileNotFoundException error) {
      return false;
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static List<Path> folders(FileSystem files, Path path) {
    try {
      return Arrays.stream(files.listStatus(path))
          .filter(FileStatus::isDirectory)
          .map(FileStatus::getPath)
          .sorted()
          .toList();
    } catch (FileNotFoundException error) {
      return List.of();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static void create(FileSystem files, Path path) {
    try {
      files.mkdirs(path);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static boolean remove(FileSystem files, Path path) {
    try {
      return files.delete(path, true);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  static void move(FileSystem files, Path from, Path to) {
    try {
      files.rename(from, to);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  /** A name as a folder: Unity Catalog keeps names in lower case, and no name may lead out of its folder. */
  static String name(String given) {
    if (!isName(given)) {
      throw new IllegalArgumentException(
          "[INVALID_NAME] " + given + " is not a valid name: no period, space, forward slash or control character");
    }
    return given.toLowerCase(Locale.ROOT);
  }

  /** Whether Unity Catalog takes the name: https://docs.databricks.com/aws/en/sql/language-manual/sql-ref-names */
  static boolean isName(String given) {
    return !given.isEmpty() && !NOT_IN_NAMES.matcher(given).find();
  }
}
